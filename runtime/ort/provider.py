"""Which of onnxruntime's execution providers there are, and one clear line where the wanted one is not."""

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
"""Providers by their names in onnxruntime."""

_WHEELS = "pip install 'turbo-webnn[cuda]' in an environment without [cpu]: the two wheels exclude each other"


def choose_provider(wanted: Provider | None = None) -> Provider:
    """The provider to run on: `wanted`, or CUDA where onnxruntime has it, else the CPU.

    Raises:
        RequestError: where onnxruntime is not installed, or has no CUDA and CUDA is wanted.
    """
    if wanted is not None and wanted not in PROVIDERS:
        raise RequestError(f"there is no provider {wanted!r}", f"there are {', '.join(PROVIDERS)}")
    has_cuda = EXECUTION_PROVIDER["cuda"] in onnxruntime().get_available_providers()
    if wanted == "cuda" and not has_cuda:
        raise RequestError("this onnxruntime has no CUDA", _WHEELS)
    return wanted or ("cuda" if has_cuda else "cpu")


def not_started(provider: Provider, why: str = "") -> RequestError:
    """What to say where onnxruntime has `provider` and it does not start; `why` by itself, or what was not found."""
    missed = why or _preloaded()
    return RequestError(
        f"onnxruntime could not start {provider}" + (f" ({missed})" if missed else ""),
        "it needs an NVIDIA driver, and CUDA and cuDNN: pip install 'onnxruntime-gpu[cuda,cudnn]'",
    )


@contextmanager
def told(wrong: str, right: str) -> Iterator[None]:
    """Turn onnxruntime's errors, which share a module but no base class, into one line each."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("onnxruntime."):
            raise
        raise RequestError(f"{wrong} ({first_line(error)})", right) from error


def first_line(error: Exception) -> str:
    """What `error` says, where that is several lines the first of them."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@cache
def onnxruntime() -> Any:
    """onnxruntime, imported when first needed: nothing else of the runtime asks for it."""
    try:
        import onnxruntime
    except ImportError as error:
        right = "pip install 'turbo-webnn[cpu]', or 'turbo-webnn[cuda]' for a GPU"
        raise RequestError("onnxruntime is not installed", right) from error
    onnxruntime.set_default_logger_severity(4)  # what it would print comes back as exceptions
    if EXECUTION_PROVIDER["cuda"] in onnxruntime.get_available_providers():
        _preloaded()
    return onnxruntime


@cache
def _preloaded() -> str:
    """Load CUDA and cuDNN from their wheels, where those are installed; the first thing that failed, if any did.

    onnxruntime prints what it misses. That is kept for the moment when CUDA does not start, for a system's own CUDA may
    serve as well.
    """
    import onnxruntime

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        if hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()
    return next(iter(said.getvalue().strip().splitlines()), "")
