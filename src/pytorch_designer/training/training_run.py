"""Train PyTorch Model from its opened inputs to its output: load, check, train and write, in order."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from pytorch_designer.distributed.world import ONE_PROCESS
from pytorch_designer.images.budgets import default_cache_budget, default_read_threads
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.inference.compute import environment_info
from pytorch_designer.inference.forward_memory import check_forward_memory
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.inference.torch_state import kept_torch_state
from pytorch_designer.models.batch_norm import normalized_convolutions
from pytorch_designer.models.loading import check_forward, network_for_classes, new_head
from pytorch_designer.progress import log_header
from pytorch_designer.seeds import derive_seed
from pytorch_designer.settings import settings
from pytorch_designer.storage.output import Output, open_output
from pytorch_designer.system.resources import cores_per_process
from pytorch_designer.system.stop_requests import StopRequest, stop_on_signals
from pytorch_designer.tracking.tracker import tracked_run
from pytorch_designer.training.checkpoint import CheckpointPolicy, CheckpointStore
from pytorch_designer.training.checkpoint_checks import RunExtent
from pytorch_designer.training.datasets import TRAINING_PORT, VALIDATION_PORT, LabeledDatasets
from pytorch_designer.training.display import SilentDisplay, log_continuation, open_display
from pytorch_designer.training.history import BadFileRecord, RunSummary
from pytorch_designer.training.inputs import TrainingInputs, load_inputs
from pytorch_designer.training.loop import train
from pytorch_designer.training.parallel.common_choices import (
    choose_compute_together,
    normalizes_by_batches,
    refuse_different_runs,
    warn_of_batch,
)
from pytorch_designer.training.parallel.shared_state import share_state
from pytorch_designer.training.recipe import Hyperparameters, build_optimizer
from pytorch_designer.training.repeatability import check_repeatability
from pytorch_designer.training.report.earlier_result import REPORT_FOLDER, recorded_run
from pytorch_designer.training.report.trained_output import show_finished, write_result
from pytorch_designer.training.run_info import (
    data_info,
    fingerprinted_settings,
    model_info,
    run_description,
    run_fingerprint,
    tracked_datasets,
    tracked_parameters,
    tracked_tags,
)
from pytorch_designer.training.state import TrainingRun, TrainingState, training_slices
from pytorch_designer.training.steps.step import MEMORY_ADVICE
from pytorch_designer.training.weight_plan import StartingPoint, WeightPlan, plan_weights

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pytorch_designer.directories.model_directory import ModelDirectory
    from pytorch_designer.distributed.world import World
    from pytorch_designer.images.augmentation import Augmentation
    from pytorch_designer.inference.compute import Compute
    from pytorch_designer.models.heads import Head
    from pytorch_designer.tracking.tracker import OpenTracker, Tracker
    from pytorch_designer.training.state import TrainingDisplay

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingJob:
    """A run whose inputs are loaded and checked.

    Attributes:
        inputs: Model and datasets.
        hyperparameters: The five parameters.
        predictor: The network to train, on its device.
        batch_augmentation: Random transforms for the GPU; None where there are none, or the processor applies them.
        fingerprint: Hash of everything that determines the result, but for the number of processes.
        new_head: The classifier whose start is computed; None where there is none.
        plan: What is done with the weights that the network has before the run.
        world: The processes that train together.
    """

    inputs: TrainingInputs
    hyperparameters: Hyperparameters
    predictor: Predictor
    batch_augmentation: Augmentation | None
    fingerprint: str
    new_head: Head | None
    plan: WeightPlan
    world: World


def train_model(
    *,
    model: ModelDirectory,
    datasets: LabeledDatasets,
    trained_model: Path,
    hyperparameters: Hyperparameters,
    open_tracker: OpenTracker,
    replaced: frozenset[str] | None = None,
    world: World = ONE_PROCESS,
) -> None:
    """Train a model and write it to `trained_model`; see docs/reference/train_pytorch_model.md.

    A run that was stopped continues from its checkpoint below `trained_model`. A run that had already ended there with
    the same inputs is left as it is. Settings of torch that belong to the process are those of before afterwards.

    Several processes call this together, each with the same arguments. The first one opens the output, writes, tracks
    and shows; what it decides holds for all.

    Args:
        model: Untrained or trained model, of the old or the new layout.
        datasets: Training and validation images, checked.
        trained_model: Output folder: new, empty, or that of the same run.
        hyperparameters: The five parameters.
        open_tracker: Opens the tracker once training begins, by the name of the run; one that records in the first
            process alone.
        replaced: Names of the entries of an earlier result in `trained_model`, which are removed before training, with
            its checkpoints; None to keep both.
        world: The processes that train together.

    Raises:
        DesignerError: Any named error of docs/reference/errors.md.
    """
    input_folders = {
        "the untrained model": model.root,
        "the training dataset": datasets.training.root,
        "the validation dataset": datasets.validation.root,
    }
    with kept_torch_state(), ExitStack() as stack:
        # Of several processes, each may get a signal twice: from the platform, and from the process that started it.
        stop_request = stack.enter_context(stop_on_signals(interrupts_when_urgent=world.size == 1))
        world.note("loading the model")
        inputs = world.verdict_of_all(lambda: load_inputs(model, datasets, random_seed=hyperparameters.random_seed))
        compute = choose_compute_together(inputs.preprocessing, world)
        job = world.verdict_of_all(lambda: prepare_job(inputs, hyperparameters, compute, world))
        settings = fingerprinted_settings(inputs, hyperparameters, compute)
        refuse_different_runs(job.fingerprint, lambda: run_description(settings, inputs), world)
        warn_of_batch(job.predictor, hyperparameters, world)
        output = world.verdict_of_first(
            lambda: stack.enter_context(
                open_output(
                    trained_model,
                    apart_from=input_folders,
                    is_finished=lambda: replaced is None and _is_result_of(job, trained_model),
                    replaced=replaced,
                )
            )
        )
        if output.is_finished:
            world.verdict_of_first(lambda: show_finished(trained_model))
            return
        world.note("reading a few images")
        training, validation = open_loaders(stack, job)
        _train(job, output, training, validation, stop_request=stop_request, open_tracker=open_tracker)


def prepare_job(
    inputs: TrainingInputs, hyperparameters: Hyperparameters, compute: Compute, world: World = ONE_PROCESS
) -> TrainingJob:
    """Build the network with its initial weights, and check that it takes the images.

    Raises:
        InvalidDatasetError: The network does not take images of this size.
        ModuleOutOfMemoryError: The device has too little memory for a batch.
    """
    preprocessing, datasets = inputs.preprocessing, inputs.datasets
    height, width = preprocessing.crop_height, preprocessing.crop_width
    compute.activate()
    torch.manual_seed(derive_seed(hyperparameters.random_seed, "initial_weights"))
    network = network_for_classes(inputs.model, datasets.training.classes)
    with ThreadPoolExecutor(1) as thread:
        fingerprint = thread.submit(
            run_fingerprint,
            settings=fingerprinted_settings(inputs, hyperparameters, compute),
            weights=network.state_dict(),  # taken before the check, which replaces them for a moment
            training=datasets.training,
            validation=datasets.validation,
        )
        normalizes_lone_image = check_forward(network, height, width, inputs.model.architecture)
    num_images = min(hyperparameters.batch_size, max(1, len(datasets.training)))
    check_forward_memory(
        network, preprocessing, compute, num_images, where="the size of the images", advice=MEMORY_ADVICE
    )
    num_steps = hyperparameters.num_epochs * len(
        training_slices(len(datasets.training), hyperparameters.batch_size, world.size)
    )
    head = new_head(inputs.model, network, datasets.training.classes)
    plan = plan_weights(
        StartingPoint(
            has_weights=inputs.model.has_weights,
            are_published=inputs.model.classes is None,
            has_new_head=head is not None,
            has_batch_norm=bool(normalized_convolutions(network)),
            num_steps=num_steps,
            images_per_class=len(datasets.training) / len(datasets.training.classes),
            batch_size=hyperparameters.batch_size,
        )
    )
    return TrainingJob(
        inputs=inputs,
        hyperparameters=hyperparameters,
        predictor=Predictor(
            network,
            preprocessing,
            compute,
            normalizes_lone_image=normalizes_lone_image,
            keeps_statistics=plan.stays_near,
        ),
        batch_augmentation=_batch_augmentation(inputs, compute),
        fingerprint=fingerprint.result(),
        new_head=head,
        plan=plan,
        world=world,
    )


def _batch_augmentation(inputs: TrainingInputs, compute: Compute) -> Augmentation | None:
    """The random transforms, where a GPU applies them: on a processor, one image at a time is faster."""
    augmentation = inputs.augmentation
    on_gpu = compute.device.type == "cuda" and augmentation is not None and augmentation.can_draw_batches()
    return augmentation if on_gpu else None


def _is_result_of(job: TrainingJob, output: Path) -> bool:
    run = recorded_run(output)
    return run.get("fingerprint") == job.fingerprint and run.get("processes", 1) == job.world.size


def open_loaders(stack: ExitStack, job: TrainingJob) -> tuple[ImageLoader, ImageLoader]:
    """Loaders of the training and the validation images, which share budgets of memory and disk, training first."""
    inputs, compute = job.inputs, job.predictor.compute
    num_processes = job.world.membership.local_size
    num_threads, tolerance = default_read_threads(num_processes=num_processes), settings().bad_image_tolerance
    training = ImageLoader(
        inputs.datasets.training,
        inputs.preprocessing,
        augmentation=inputs.augmentation,
        draws_later=job.batch_augmentation is not None,
        num_threads=num_threads,
        num_cores=cores_per_process(num_processes),
        cache=default_cache_budget(num_processes=num_processes),
        decodes_ahead=not compute.takes_all_cores,
        pins_memory=compute.device.type == "cuda",
        tolerance=tolerance,
        port=TRAINING_PORT,
    )
    stack.enter_context(training)
    validation = ImageLoader(
        inputs.datasets.validation,
        inputs.preprocessing,
        labels=inputs.datasets.validation_labels,
        num_threads=num_threads,
        num_cores=cores_per_process(num_processes),
        cache=training.cache.left,
        decodes_ahead=not compute.takes_all_cores,
        pins_memory=compute.device.type == "cuda",
        tolerance=tolerance,
        port=VALIDATION_PORT,
    )
    stack.enter_context(validation)
    for loader in (training, validation):
        job.world.verdict_of_all(loader.check_readable)
    return training, validation


def _train(
    job: TrainingJob,
    output: Output,
    training: ImageLoader,
    validation: ImageLoader,
    *,
    stop_request: StopRequest,
    open_tracker: OpenTracker,
) -> None:
    """Train and write the model, tracked: the model is there before the tracker is waited for."""
    predictor, world = job.predictor, job.world
    state = TrainingState(predictor.network, build_optimizer(predictor.network, job.hyperparameters.learning_rate))
    environment = environment_info(predictor.compute) | world.membership.facts()
    data = model_info(job.inputs, predictor.network) | data_info(job.inputs, training, validation)
    store = CheckpointStore(output.path, job.fingerprint, _extent(job))
    is_continued = world.verdict_of_first(lambda: store.restore(state))
    share_state(world, state)
    with tracked_run(open_tracker, output.path.name, state.tracked_run) as tracker:
        _track_start(tracker, job, state)
        log_header("Train PyTorch Model", environment | data | {"Tracking": tracker.description})
        check_repeatability(predictor)
        opened: AbstractContextManager[TrainingDisplay] = world.of_first(
            partial(_open_display, job, state, is_continued=is_continued), nullcontext(SilentDisplay())
        )
        with opened as display:
            run = TrainingRun(
                hyperparameters=job.hyperparameters,
                predictor=predictor,
                training=training,
                validation=validation,
                num_classes=len(job.inputs.datasets.training.classes),
                plan=job.plan,
                display=display,
                on_epoch_end=lambda record: tracker.log_metrics(record.tracked_metrics(), record.epoch),
                stop_request=stop_request,
                batch_augmentation=job.batch_augmentation,
                new_head=job.new_head,
                world=world,
            )
            reason = train(run, state, CheckpointPolicy(store, settings().checkpoint_seconds))
        world.note("writing the model")
        summarize = partial(_summary, job, training, validation, environment=environment, data=data)
        world.verdict_of_first(lambda: _finish(job, output, state, summarize(state, reason), tracker))


@contextmanager
def _open_display(job: TrainingJob, state: TrainingState, *, is_continued: bool) -> Iterator[TrainingDisplay]:
    """The display, with what is known of an earlier process."""
    if is_continued:
        log_continuation(state, job.hyperparameters)
    with open_display(job.hyperparameters, job.inputs.datasets, state, num_processes=job.world.size) as display:
        display.show_past(state.history)
        yield display


def _summary(
    job: TrainingJob,
    training: ImageLoader,
    validation: ImageLoader,
    state: TrainingState,
    reason: str,
    *,
    environment: dict[str, str],
    data: dict[str, str],
) -> RunSummary:
    if state.best is None:
        raise AssertionError("training ends with a best epoch or an error")
    return RunSummary(
        history=tuple(state.history),
        best_epoch=state.best.epoch,
        stop_reason=reason,
        classes=job.inputs.datasets.training.classes,
        confusion=state.best.confusion.numpy(),
        parameters=job.hyperparameters.to_dict(),
        environment=environment,
        data=data,
        fingerprint=job.fingerprint,
        bad_files=_bad_files(training, TRAINING_PORT) + _bad_files(validation, VALIDATION_PORT),
        num_processes=job.world.size,
        normalizes_by_batches=normalizes_by_batches(job.predictor),
        has_bounded_steps=job.plan.stays_near,
    )


def _finish(job: TrainingJob, output: Output, state: TrainingState, summary: RunSummary, tracker: Tracker) -> None:
    """Write the model, and track it."""
    if state.best is None:
        raise AssertionError("training ends with a best epoch or an error")
    tracker.log_metrics(summary.tracked_metrics(), summary.history[-1].epoch)
    write_result(output, summary, job.inputs, state.best)
    tracker.log_result(output.path, output.path / REPORT_FOLDER)


def _track_start(tracker: Tracker, job: TrainingJob, state: TrainingState) -> None:
    """Record what the run is given, and the epochs of the processes before this one, as far as they are not there."""
    if tracker.run is None:
        return
    state.tracked_run = tracker.run
    processes = {"processes": job.world.size} if job.world.size > 1 else {}
    tracker.log_parameters(tracked_parameters(job.inputs, job.hyperparameters, job.predictor.compute) | processes)
    tags = tracked_tags(job.inputs, job.predictor.compute)
    for name, value in tags.items():
        tracker.set_tag(name, value)
    for dataset in tracked_datasets(job.inputs, tags):
        tracker.log_dataset(dataset)
    for record in state.history:
        tracker.log_metrics(record.tracked_metrics(), record.epoch, is_past=True)


def _extent(job: TrainingJob) -> RunExtent:
    parameters, datasets = job.hyperparameters, job.inputs.datasets
    return RunExtent(
        num_epochs=parameters.num_epochs,
        num_steps=len(training_slices(len(datasets.training), parameters.batch_size, job.world.size)),
        num_classes=len(datasets.training.classes),
        num_validated=len(datasets.validation),
        num_processes=job.world.size,
    )


def _bad_files(loader: ImageLoader, port: str) -> tuple[BadFileRecord, ...]:
    return tuple(BadFileRecord(port, bad.file, bad.reason) for bad in loader.bad_files)
