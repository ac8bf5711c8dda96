"""Standing between a module and the functions of torch that it calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode


class FunctionMode(TorchFunctionMode, ABC):  # type: ignore[misc]  # torch is untyped here
    """While it is active, it makes each call of a function of torch."""

    @abstractmethod
    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Make the call, and return what it gives. Reading an attribute is one too, of a `__get__`."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        _types: Sequence[type],
        arguments: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        """See torch.overrides."""
        return self.call(function, arguments, options or {})


def parameter_names(forward: nn.Module) -> dict[int, str]:
    """By the id of each parameter of what is traced, the name that the component's module has for it."""
    return {id(value): name.removeprefix("module.") for name, value in forward.named_parameters()}
