"""The program: splits the input, keeps the workers busy, counts failures, and writes what `run()` has returned."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .entry_script import work
from .input_splitting import InputError, MiniBatch, split

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection

_DEFAULT_NAME = "parallel_run_step.txt"
_POLL_SECONDS = 0.5
_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30}
_ALL = -1


class _TooManyFailuresError(Exception):
    pass


@dataclass
class _Task:
    batch: MiniBatch
    num_attempts: int = 0


class _Worker:
    """A process that runs the entry script."""

    def __init__(self, options: argparse.Namespace, arguments: list[str]) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection: Connection
        self.connection, other = context.Pipe()
        self.process = context.Process(
            target=work, args=(other, options.entry_script, arguments, options.logging_level)
        )
        self.process.start()
        other.close()
        self.is_ready = False
        self.task: _Task | None = None
        self.started = 0.0

    def give(self, task: _Task) -> None:
        self.task = task
        self.started = time.monotonic()
        task.num_attempts += 1
        self.connection.send(task.batch)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


class _Run:
    def __init__(self, options: argparse.Namespace, arguments: list[str], batches: list[MiniBatch]) -> None:
        self._options = options
        self._arguments = arguments
        self._waiting = [_Task(batch) for batch in batches]
        self._num_batches = len(batches)
        self._workers: list[_Worker] = []
        self._rows: dict[int, str] = {}
        self.num_failed_items = 0
        self.num_failed_batches = 0

    def run(self) -> list[str]:
        """Process all mini-batches, and return the rows of each in order."""
        num_workers = min(self._options.workers, _usable_cores(), self._num_batches)
        self._say("INFO", f"Mini-batches: {self._num_batches}, workers: {num_workers}")
        try:
            self._workers = [_Worker(self._options, self._arguments) for _ in range(num_workers)]
            while self._waiting or any(worker.task is not None for worker in self._workers):
                self._hand_out()
                ready = wait([worker.connection for worker in self._workers], _POLL_SECONDS)
                for index, worker in enumerate(self._workers):
                    if worker.connection in ready:
                        self._receive(index, worker)
                    elif worker.task is not None and time.monotonic() - worker.started > self._options.timeout:
                        self._replace(index)
                        self._failed(worker.task, f"It took more than {self._options.timeout} s.")
            self._finish()
        finally:
            for worker in self._workers:
                worker.end()
        return [self._rows[index] for index in sorted(self._rows)]

    def _hand_out(self) -> None:
        for worker in self._workers:
            if self._waiting and worker.is_ready and worker.task is None:
                worker.give(self._waiting.pop(0))

    def _receive(self, index: int, worker: _Worker) -> None:
        task = worker.task
        try:
            kind, *values = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join(1)
            if task is None:
                raise _TooManyFailuresError(
                    f"A worker died before its first mini-batch, with exit code {worker.process.exitcode}."
                ) from None
            self._replace(index)
            self._failed(task, f"The worker died with exit code {worker.process.exitcode}.")
            return
        if kind == "unusable":
            raise _TooManyFailuresError(f"The entry script {self._options.entry_script} cannot be used.\n{values[0]}")
        if kind == "ready":
            worker.is_ready = True
            return
        worker.task = None
        assert task is not None
        if kind == "failed":
            self._failed(task, values[0])
        else:
            self._done(task.batch, *values)

    def _replace(self, index: int) -> None:
        self._workers[index].end()
        self._workers[index] = _Worker(self._options, self._arguments)

    def _done(self, batch: MiniBatch, num_results: int, rows: str) -> None:
        self._rows[batch.index] = rows
        missing = max(batch.num_items - num_results, 0)
        short = f", items without a result: {missing}" if missing else ""
        self._say("INFO", f"Mini-batch {batch.index} of {self._num_batches} done, results: {num_results}{short}")
        self.num_failed_items += missing
        self._check()

    def _failed(self, task: _Task, why: str) -> None:
        index = task.batch.index
        self._say("WARNING", f"Mini-batch {index} failed, attempt {task.num_attempts}: {why}")
        if task.num_attempts <= self._options.max_retries:
            self._waiting.append(task)
            return
        self.num_failed_batches += 1
        self.num_failed_items += task.batch.num_items
        self._check()

    def _check(self) -> None:
        options = self._options
        for name, number, limit in (
            ("items", self.num_failed_items, options.error_threshold),
            ("mini-batches", self.num_failed_batches, options.mini_batch_error_threshold),
        ):
            if limit != _ALL and number > limit:
                setting = "error_threshold" if name == "items" else "mini_batch_error_threshold"
                raise _TooManyFailuresError(f"More {name} have failed ({number}) than {setting} allows ({limit}).")

    def _finish(self) -> None:
        ready = [worker for worker in self._workers if worker.is_ready and worker.process.is_alive()]
        for worker in ready:
            worker.connection.send(None)
        for worker in ready:
            worker.process.join(self._options.timeout)

    def _say(self, level: str, text: str) -> None:
        if _LEVELS[level] >= _LEVELS[self._options.logging_level]:
            print(text, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run a parallel job; the exit code is 1 where too much has failed."""
    options, program_arguments = _parse(arguments)
    try:
        batches = split(
            Path(options.input), options.input_type, options.mini_batch_size, options.partition_keys, Path(".batches")
        )
        run = _Run(options, program_arguments, batches)
        rows = run.run()
    except (InputError, _TooManyFailuresError) as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        return 1
    if options.append_row_to:
        target = Path(options.append_row_to)
        file = target / _DEFAULT_NAME if options.append_to_folder else target
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(rows), encoding="utf-8")
    total = sum(batch.num_items for batch in batches)
    failed_percent = 100 * run.num_failed_items / max(total, 1)
    print(
        f"{len(batches) - run.num_failed_batches} of {len(batches)} mini-batches and "
        f"{total - run.num_failed_items} of {total} items have succeeded",
        flush=True,
    )
    if failed_percent > options.allowed_failed_percent:
        print(f"Error: {failed_percent:.1f}% of the items have failed.", file=sys.stderr, flush=True)
        return 1
    return 0


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    own, program_arguments = list(arguments), []
    if "--" in own:
        place = own.index("--")
        own, program_arguments = own[:place], own[place + 1 :]
    parser = argparse.ArgumentParser(prog="mini_batches", allow_abbrev=False)
    parser.add_argument("--input", required=True)
    parser.add_argument("--input-type", default="uri_folder")
    parser.add_argument("--mini-batch-size", default="")
    parser.add_argument("--partition-keys", type=lambda text: text.split(","), default=[])
    parser.add_argument("--entry-script", required=True)
    parser.add_argument("--append-row-to", default="")
    parser.add_argument("--append-to-folder", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--max-retries", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("--error-threshold", type=int, default=_ALL)
    parser.add_argument("--mini-batch-error-threshold", type=int, default=_ALL)
    parser.add_argument("--logging-level", choices=sorted(_LEVELS), default="INFO")
    options = parser.parse_args(own)
    _add_settings_among(program_arguments, options)
    return options, program_arguments


def _add_settings_among(program_arguments: list[str], options: Any) -> None:
    """Take the settings that Azure ML reads out of the arguments of the entry script."""
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--error_threshold", type=int)
    parser.add_argument("--allowed_failed_percent", type=float, default=100.0)
    found, _ = parser.parse_known_args(program_arguments)
    if found.error_threshold is not None:
        options.error_threshold = found.error_threshold
    options.allowed_failed_percent = found.allowed_failed_percent


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
