"""Marks for tests that need what not every machine gives: each says why it was skipped."""

from __future__ import annotations

import pytest

from pytorch_designer.errors import UnsupportedLocallyError
from pytorch_designer.harness.fault_injection.injected_faults import parse_faults
from pytorch_designer.harness.fault_injection.injection import check_possible


def _reason(fault: str) -> str:
    try:
        check_possible(parse_faults([fault]))
    except UnsupportedLocallyError as error:
        return error.what
    return ""


_NO_WATCH = _reason("slow-open=1")
_NO_MOUNTS = _reason("no-network")
needs_system_call_watch = pytest.mark.skipif(bool(_NO_WATCH), reason=_NO_WATCH)
needs_namespace = pytest.mark.skipif(bool(_NO_MOUNTS), reason=_NO_MOUNTS)
