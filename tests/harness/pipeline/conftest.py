"""The files of the linter's tests, for comparisons of `run` with `lint`."""

from tests.harness.lint.conftest import folder

__all__ = ["folder"]
