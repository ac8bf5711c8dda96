"""The components as modules of diffusers and transformers: loaded, called by the bundle's names, listened to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import diffusers
import torch
import transformers
from torch.overrides import TorchFunctionMode

from turbo_webnn.models.checkpoint import Checkpoint
from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import LIBRARY_ERRORS, RequestError
from turbo_webnn.models.modules import build, matched
from turbo_webnn.models.precision import Precision
from turbo_webnn.models.printable import printable
from turbo_webnn.models.source import Source
from turbo_webnn.runtime.draw.noise import Float32Array

_STORED_TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}

TYPES: dict[Precision, Any] = {"fp32": torch.float32, "fp16": torch.float16}

Keep = Callable[[str, Float32Array], None]
"""Told a module's path and its output."""


def load(source: Source, component: Component, dtype: Any = torch.float32) -> Any:
    """The component's module in `dtype`, ready to run; nothing is fetched, and no pickle is opened.

    Raises:
        RequestError: where its config or weights are missing, corrupt, or of another architecture, or hold more than
            the module reads.
    """
    config, checkpoint = source.config(component), source.checkpoint(component)
    with torch.device("meta"):
        read = matched(component, build(component, config), checkpoint)
    if any(stored.shape != checkpoint.tensors[stored.name].shape for stored in read.tensors.values()):
        return _assembled(component, config, read, dtype)
    folder, variant = source.folder_of(component)
    with quiet(), refused(f"load {component.name} of {source.name}", "give a complete diffusers folder"):
        module, missing = component.part.load(folder, variant, dtype)
    if missing:  # the libraries put random numbers there, and warn
        name = min(missing)
        raise RequestError(f"{component.name} of {source.name} has no tensor {name}", "give a complete checkpoint")
    return module.eval().requires_grad_(False)


def _assembled(component: Component, config: Mapping[str, Any], read: Checkpoint, dtype: Any) -> Any:
    """The module with the tensors of `read`, some of which have another shape on disk than diffusers loads."""
    module = build(component, config)
    for name, parameter in module.named_parameters():
        stored = read.tensor(tuple(parameter.shape), *component.keys(name))
        numbers = torch.empty(stored.shape, dtype=_STORED_TYPES[stored.dtype])
        stored.read_into(memoryview(numbers.view(torch.uint8).numpy().reshape(-1)))
        parameter.data.copy_(numbers)
    return module.to(dtype).requires_grad_(False)


@contextmanager
def refused(task: str, right: str = "give the checkpoint that the bundle was made from") -> Iterator[None]:
    """Turns what the libraries raise on a checkpoint that they cannot serve into one line.

    Raises:
        RequestError: says that PyTorch cannot do `task`, why, and what would be `right`.
    """
    try:
        yield
    except (*LIBRARY_ERRORS, AssertionError, OSError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise RequestError(f"PyTorch cannot {task} ({printable(first)})", right) from error


class Float16Products(TorchFunctionMode):  # type: ignore[misc]  # torch is untyped here
    """Convolutions and linear layers of float16 numbers, summed in float32 and rounded once.

    That is what accelerators do, and CPUs with float16 instructions. On others PyTorch's own float16 convolution
    takes some 300 times as long as float32's.
    """

    def __torch_function__(self, called: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if called not in (torch.conv2d, torch.nn.functional.linear) or args[0].dtype != torch.float16:
            return called(*args, **kwargs)
        wide = [arg.float() if isinstance(arg, torch.Tensor) else arg for arg in args]
        named = {name: arg.float() if isinstance(arg, torch.Tensor) else arg for name, arg in kwargs.items()}
        return called(*wide, **named).half()


@contextmanager
def kept(module: Any, keep: Keep | None) -> Iterator[None]:
    """Tells `keep` of every inner module's output, while it runs."""

    def hook(name: str) -> Callable[..., None]:
        def told(_module: Any, _inputs: Any, output: Any) -> None:
            if keep is not None and isinstance(output, torch.Tensor):
                keep(name, to_numpy(output))

        return told

    inner = [(name, each) for name, each in module.named_modules() if name] if keep else []
    hooks = [each.register_forward_hook(hook(name)) for name, each in inner]
    try:
        yield
    finally:
        for each in hooks:
            each.remove()


def to_numpy(tensor: Any) -> Float32Array:
    """`tensor` in float32."""
    array: Float32Array = tensor.to(torch.float32).numpy()
    return array


@contextmanager
def quiet() -> Iterator[None]:
    """Without the libraries' own bars and warnings, whose settings are put back."""
    logs = (transformers.utils.logging, diffusers.utils.logging)
    levels = [log.get_verbosity() for log in logs]
    bars = [log.is_progress_bar_enabled() for log in logs]
    for log in logs:
        log.set_verbosity_error()
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log, level, bar in zip(logs, levels, bars, strict=True):
            log.set_verbosity(level)
            if bar:
                log.enable_progress_bar()
