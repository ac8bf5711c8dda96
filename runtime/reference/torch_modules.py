"""What every use of PyTorch needs here: types, errors in one line, silent libraries, watched submodules."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import diffusers
import torch
import transformers
from torch.overrides import TorchFunctionMode

from turbo_webnn.models.errors import LIBRARY_ERRORS, RequestError
from turbo_webnn.models.precision import Precision
from turbo_webnn.models.printable import printable
from turbo_webnn.runtime.draw.noise import Float32Array

TYPES: dict[Precision, Any] = {"fp32": torch.float32, "fp16": torch.float16}

OutputWatch = Callable[[str, Float32Array], None]
"""A function that receives the path of a submodule and its output."""


@contextmanager
def as_request_error(task: str, right: str = "give the checkpoint that the bundle was made from") -> Iterator[None]:
    """Translate the libraries' exceptions in the block into a RequestError of one line.

    Args:
        task: what PyTorch does in the block, for the message.
        right: the advice of the message.

    Raises:
        RequestError: where a library cannot use the checkpoint.
    """
    try:
        yield
    except (*LIBRARY_ERRORS, AssertionError, OSError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise RequestError(f"PyTorch cannot {task} ({printable(first)})", right) from error


class Float16Products(TorchFunctionMode):  # type: ignore[misc]  # torch is untyped here
    """Computes float16 convolutions and linear layers in float32, and rounds the result once.

    Accelerators, and CPUs with float16 instructions, compute in the same way. On other CPUs, PyTorch's float16
    convolution takes about 300 times as long as the one in float32.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function not in (torch.conv2d, torch.nn.functional.linear) or args[0].dtype != torch.float16:
            return function(*args, **kwargs)
        wide_args = [arg.float() if isinstance(arg, torch.Tensor) else arg for arg in args]
        wide_kwargs = {name: arg.float() if isinstance(arg, torch.Tensor) else arg for name, arg in kwargs.items()}
        return function(*wide_args, **wide_kwargs).half()


@contextmanager
def watch_outputs(module: Any, watch: OutputWatch | None) -> Iterator[None]:
    """Call `watch` with the output of every submodule that runs in the block."""

    def make_hook(name: str) -> Callable[..., None]:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            if watch is not None and isinstance(output, torch.Tensor):
                watch(name, to_numpy(output))

        return hook

    submodules = [(name, submodule) for name, submodule in module.named_modules() if name] if watch else []
    handles = [submodule.register_forward_hook(make_hook(name)) for name, submodule in submodules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def to_numpy(tensor: Any) -> Float32Array:
    """Convert `tensor` to a numpy array in float32."""
    array: Float32Array = tensor.to(torch.float32).numpy()
    return array


@contextmanager
def silence_libraries() -> Iterator[None]:
    """Switch off the libraries' progress bars and warnings in the block, and restore their settings after it."""
    logs = (transformers.utils.logging, diffusers.utils.logging)
    levels = [log.get_verbosity() for log in logs]
    bars_enabled = [log.is_progress_bar_enabled() for log in logs]
    for log in logs:
        log.set_verbosity_error()
        log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level, bar_enabled in zip(logs, levels, bars_enabled, strict=True):
            log.set_verbosity(level)
            if bar_enabled:
                log.enable_progress_bar()
