"""Learning-rate range test from its opened inputs to its report."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from pytorch_designer.distributed.world import ONE_PROCESS
from pytorch_designer.inference.compute import environment_info
from pytorch_designer.inference.torch_state import kept_torch_state
from pytorch_designer.progress import log_header, open_progress_line
from pytorch_designer.settings import settings
from pytorch_designer.storage.output import open_output
from pytorch_designer.system.stop_requests import stop_on_signals
from pytorch_designer.training.inputs import load_inputs
from pytorch_designer.training.parallel.common_choices import choose_compute_together
from pytorch_designer.training.rate_search.rate_curve import suggest_rate, table_lines
from pytorch_designer.training.rate_search.rate_report import RATE_PAGE_FILE, replaceable_rate_search, write_rate_report
from pytorch_designer.training.rate_search.sweep import RateSweep, SweepDisplay, sweep_rates
from pytorch_designer.training.recipe import Hyperparameters, build_optimizer
from pytorch_designer.training.run_info import data_info, model_info
from pytorch_designer.training.start.initial_scale import LEAST_RATE
from pytorch_designer.training.state import TrainingState
from pytorch_designer.training.training_run import open_loaders, prepare_job

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.directories.model_directory import ModelDirectory
    from pytorch_designer.training.datasets import LabeledDatasets
    from pytorch_designer.training.rate_search.rate_curve import RateSuggestion

_log = logging.getLogger(__name__)


def search_learning_rate(
    *,
    model: ModelDirectory,
    datasets: LabeledDatasets,
    output: Path,
    is_overwriting: bool,
    num_epochs: int,
    batch_size: int,
    random_seed: int,
    num_steps: int,
) -> RateSuggestion:
    """Run a range test, write its report to `output`, and log its table. No model is written.

    Args:
        model: Untrained model, or a trained one to fine-tune.
        datasets: The images of the run that the rate is for; the validation images are not used.
        output: New or empty folder, or with an earlier result that is replaced.
        is_overwriting: Whether it is.
        num_epochs: Of the run that the rate is for, at least 1: short runs on given weights have a recipe of their own.
        batch_size: Images per step, at least 1.
        random_seed: The same seed, data and machine give the same curve.
        num_steps: Steps, at least 2.

    Raises:
        DesignerError: Any named error of docs/reference/errors.md.
    """
    started = time.perf_counter()
    hyperparameters = Hyperparameters(
        num_epochs=num_epochs, batch_size=batch_size, learning_rate=LEAST_RATE, random_seed=random_seed, patience=1
    )
    folders = {"the model": model.root, "the images": datasets.training.root}
    with kept_torch_state(), ExitStack() as stack:
        stop_request = stack.enter_context(stop_on_signals(interrupts_when_urgent=True))
        replaced = replaceable_rate_search(output) if is_overwriting else None
        opened = stack.enter_context(open_output(output, apart_from=folders, replaced=replaced))
        inputs = load_inputs(model, datasets, random_seed=random_seed)
        job = prepare_job(inputs, hyperparameters, choose_compute_together(inputs.preprocessing, ONE_PROCESS))
        training, validation = open_loaders(stack, job)
        predictor = job.predictor
        data = model_info(job.inputs, predictor.network) | data_info(job.inputs, training, validation)
        data.pop("Validation")
        metadata = environment_info(predictor.compute) | data
        log_header("Learning-rate range test", metadata)
        with open_progress_line(settings()) as line:
            display = SweepDisplay(line, num_steps)
            sweep = RateSweep(
                hyperparameters=hyperparameters,
                predictor=predictor,
                training=training,
                validation=validation,
                num_classes=len(datasets.training.classes),
                plan=job.plan,
                display=display,
                on_epoch_end=lambda _: None,
                stop_request=stop_request,
                batch_augmentation=job.batch_augmentation,
                new_head=job.new_head,
                num_steps=num_steps,
            )
            state = TrainingState(predictor.network, build_optimizer(predictor.network, LEAST_RATE))
            curve = sweep_rates(sweep, state, display)
        suggestion = suggest_rate(curve)
        with opened.stage() as folder:
            write_rate_report(folder, curve, suggestion, metadata=metadata, seconds=time.perf_counter() - started)
    for text in table_lines(curve, suggestion):
        _log.info("%s", text)
    _log.info("%s", suggestion.reason)
    _log.info("Page: %s", output / RATE_PAGE_FILE)
    return suggestion
