"""A torch mode that intercepts the functions of torch that a module calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode


class FunctionMode(TorchFunctionMode, ABC):  # type: ignore[misc]  # torch is untyped here
    """While the mode is active, each call of a function of torch goes through its method `call`."""

    @abstractmethod
    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Call `function`, and return its result. Access to a tensor's attribute is also a call, of a `__get__`."""

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
    """By the id of each parameter of the traced forward, its name in the component's module."""
    return {id(value): name.removeprefix("module.") for name, value in forward.named_parameters()}
