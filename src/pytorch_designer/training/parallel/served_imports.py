"""Imports of the server that processes of a run are forked from; see `pytorch_designer.distributed.launching`."""

from pytorch_designer.imports import quick_import

with quick_import("torch"):
    import pytorch_designer.distributed.process_world
    import pytorch_designer.training.training_run  # noqa: F401 - imported before the fork
