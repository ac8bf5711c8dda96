"""The torch module that is traced for a component: it has the inputs and outputs of the component's contract."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from turbo_webnn.models.component import Component, Size


class Forward(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A component's module with the forward of its part. Its parameters have the prefix `module.`.

    `forward` takes the inputs of the contract in order. It returns the outputs: a tensor, or a tuple of tensors.
    """

    def __init__(self, component: Component, module: Any, size: Size) -> None:
        super().__init__()
        self.module = component.part.prepare(module)
        self.forward = partial(component.part.trace, self.module, component, size)
