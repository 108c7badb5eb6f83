"""Submission of jobs to a workspace."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.cloud.cloud_errors import named_faults, named_load_faults

if TYPE_CHECKING:
    from pathlib import Path

    from azure.ai.ml import MLClient

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Submission:
    """A submitted job.

    Attributes:
        name: The job's name in the workspace.
        status: Its status after submission.
        studio_url: Address of its page in the studio, or None.
    """

    name: str
    status: str
    studio_url: str | None


def submit(
    client: MLClient,
    path: Path,
    *,
    experiment: str | None = None,
    should_stream: bool = False,
    target: object = "Azure ML",
) -> Submission:
    """Submit a pipeline job or command job; local files that it refers to are uploaded first.

    Args:
        client: A client of the workspace.
        path: The job's YAML file.
        experiment: The experiment of the job; None uses the one in the file, or Azure's default.
        should_stream: Whether to print the job's log and wait until it ends.
        target: The workspace, for messages.

    Raises:
        InvalidSpecError: azure-ai-ml does not accept the file as a job.
        CloudError: Azure refused the request, could not be reached, or the streamed job failed.
    """
    from azure.ai.ml import load_job

    with named_load_faults(path):
        job = load_job(path)
    if experiment is not None:
        job.experiment_name = experiment
    with named_faults(f"submit {path.name}", where=target):
        created = client.jobs.create_or_update(job)
        submission = Submission(created.name, str(created.status), created.studio_url)
        _logger.info("Submitted %s to %s.", submission.name, target)
        if submission.studio_url:
            _logger.info("Follow it at %s", submission.studio_url)
        if should_stream:
            client.jobs.stream(created.name)
    return submission
