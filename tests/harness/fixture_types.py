"""Types of the fixtures of `conftest`, for the signatures of tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytorch_designer.harness.job.job_run import JobRequest
from pytorch_designer.harness.schema.specification import CommandSpec

WriteComponent = Callable[..., Path]
ReadSpec = Callable[..., CommandSpec]
MakeRequest = Callable[..., JobRequest]
