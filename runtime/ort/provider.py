"""The available execution providers of onnxruntime, and a clear error where the requested one is missing."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal, get_args

from turbo_webnn.models.errors import RequestError

Provider = Literal["cpu", "cuda"]

PROVIDERS: tuple[Provider, ...] = get_args(Provider)

EXECUTION_PROVIDER: dict[Provider, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""The names of the providers in onnxruntime."""

_WHEELS = "pip install 'turbo-webnn[cuda]' in an environment without [cpu]: the two wheels exclude each other"


def choose_provider(requested: Provider | None = None) -> Provider:
    """Choose the provider: `requested`, or CUDA where onnxruntime supports it, otherwise the CPU.

    Raises:
        RequestError: where onnxruntime is not installed, or CUDA is requested and not supported.
    """
    if requested is not None and requested not in PROVIDERS:
        raise RequestError(f"there is no provider {requested!r}", f"there are {', '.join(PROVIDERS)}")
    has_cuda = EXECUTION_PROVIDER["cuda"] in onnxruntime().get_available_providers()
    if requested == "cuda" and not has_cuda:
        raise RequestError("this onnxruntime has no CUDA", _WHEELS)
    return requested or ("cuda" if has_cuda else "cpu")


def not_started(provider: Provider, reason: str = "") -> RequestError:
    """Make the error for a provider that onnxruntime has but cannot start.

    Args:
        provider: the provider.
        reason: the cause; the first missing library where empty.
    """
    cause = reason or _preload_cuda()
    return RequestError(
        f"onnxruntime could not start {provider}" + (f" ({cause})" if cause else ""),
        "it needs an NVIDIA driver, and CUDA and cuDNN: pip install 'onnxruntime-gpu[cuda,cudnn]'",
    )


@contextmanager
def as_request_errors(wrong: str, right: str) -> Iterator[None]:
    """Translate the exceptions of onnxruntime in the block into RequestErrors of one line.

    The exceptions share a module, but no base class.

    Args:
        wrong: the beginning of the message.
        right: the advice of the message.
    """
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("onnxruntime."):
            raise
        raise RequestError(f"{wrong} ({first_line(error)})", right) from error


def first_line(error: Exception) -> str:
    """The first line of the message of `error`."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@cache
def onnxruntime() -> Any:
    """Import onnxruntime at the first call; only this function imports it."""
    try:
        import onnxruntime
    except ImportError as error:
        right = "pip install 'turbo-webnn[cpu]', or 'turbo-webnn[cuda]' for a GPU"
        raise RequestError("onnxruntime is not installed", right) from error
    onnxruntime.set_default_logger_severity(4)  # its errors are also raised as exceptions
    if EXECUTION_PROVIDER["cuda"] in onnxruntime.get_available_providers():
        _preload_cuda()
    return onnxruntime


@cache
def _preload_cuda() -> str:
    """Load CUDA and cuDNN from their wheels, where those are installed.

    onnxruntime prints the missing libraries. They are reported only where CUDA does not start, because the system's
    own CUDA may work too.

    Returns:
        The first printed line; empty where nothing is missing.
    """
    import onnxruntime

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()
    return next(iter(printed.getvalue().strip().splitlines()), "")
