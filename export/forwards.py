"""What is traced of a component: its module behind the inputs and outputs of its contract."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from turbo_webnn.models.component import Component, Size


class Forward(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A component's module, called as its part says. Its parameters have the prefix `module.`.

    `forward` takes the inputs of the contract in order, and gives its outputs: a tensor, or a tuple of them.
    """

    def __init__(self, component: Component, module: Any, size: Size) -> None:
        super().__init__()
        self.module = component.part.prepare(module)
        self.forward = partial(component.part.trace, self.module, component, size)
