"""Answers of MLflow's scoring server to requests that its own parsing fails on.

The server answers a body that is not UTF-8, a missing content type or lists that are nested too deep with status 500,
and damaged CSV with a traceback; a message may repeat the whole body. None of these reaches the model, so that the
function of the server that reads requests is replaced, in the process that serves the model and nowhere else.
"""

from __future__ import annotations

import logging
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, TEMPORARILY_UNAVAILABLE, ErrorCode

from pytorch_designer.errors import shorten
from pytorch_designer.system.out_of_memory import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

_SERVER_MODULE = "mlflow.pyfunc.scoring_server"
_PREFIX, _OWN = "Failed to predict data", "\nError: "  # what the server puts before a message of the model
_LONG_MESSAGE, _HEAD, _TAIL = 5000, 500, 2000  # the cause comes last
_SERVER_FAULT = 500


def answer_bad_requests() -> None:
    """Let MLflow's server, where this process is one, answer every bad request with status 400 and no traceback."""
    server: Any = sys.modules.get(_SERVER_MODULE)
    if server is not None and not hasattr(server.invocations, "__wrapped__"):
        server.invocations = answering(server.invocations)


def answering(invocations: Callable[..., Any]) -> Callable[..., Any]:
    """The function that reads and answers a request, made to raise nothing but short errors without a traceback."""

    @wraps(invocations)
    def answer(*arguments: Any, **named: Any) -> Any:
        try:
            return invocations(*arguments, **named)
        except MlflowException as error:
            error.json_kwargs.pop("stack_trace", None)
            if error.get_http_status_code() == _SERVER_FAULT:
                error.error_code = ErrorCode.Name(BAD_REQUEST)
            error.message = _shortened(error.message)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and no traceback
            if is_out_of_memory(error):
                message = "There is too little free memory for this request."
                raise MlflowException(message, TEMPORARILY_UNAVAILABLE) from None
            _log.warning("A request could not be read: %s: %s", type(error).__name__, shorten(str(error)))
            raise MlflowException(
                f"The request cannot be read ({type(error).__name__}: {shorten(str(error), 200)}). Send JSON in UTF-8 "
                "with the content type application/json.",
                BAD_REQUEST,
            ) from None

    return answer


def _shortened(message: str) -> str:
    if message.startswith(_PREFIX):
        message = message.partition(_OWN)[2] or message
    return message if len(message) <= _LONG_MESSAGE else f"{message[:_HEAD]} ... {message[-_TAIL:]}"
