"""The interface of a part: the description of one torch module class, or of one half of an autoencoder.

A part is a frozen object without state. A family names it as a `Component` and connects it to others. Methods that
need torch import it themselves, so that programs that only run bundles do not load it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from turbo_webnn.models.component import Component, Size, TensorSpec
from turbo_webnn.models.parts.weight_rules import WeightRules

if TYPE_CHECKING:
    from turbo_webnn.models.checkpoint import Tensor

Config = Mapping[str, Any]
"""A module's config, as its `config.json` states it."""

ServedValues = tuple[tuple[str, tuple[Any, ...]], ...]
"""Config keys and the values that are served; the first is the library's default."""


class Part(ABC):
    """The description of a module class, for all stages of an export and a verification.

    Attributes:
        module: the name of the class in its library.
        noun: the noun for the module in messages.
        weights_stem: the file name of its weights in a diffusers folder, before `.safetensors`.
        form: the types and bounds of the numbers in its config.
        served: the config values that the graph needs; other values are refused.
        key_rules: pairs of prefixes: of the module's own parameter names, and of published keys, if these differ.
        weights: the rules for the quantisation of its weights, if there is neither a recipe nor a budget.
        called: the method of the module that diffusers' pipelines call; None where none of them calls it.
        gains: for random weights (`synth`), factors by the end of a parameter's name that keep activations in the
            range of a trained model's.
    """

    module: ClassVar[str]
    noun: ClassVar[str]
    weights_stem: ClassVar[str]
    form: ClassVar[type[object]]
    key_rules: ClassVar[tuple[tuple[str, str], ...]] = ()
    weights: ClassVar[WeightRules] = WeightRules()
    called: ClassVar[str | None] = None
    gains: ClassVar[Mapping[str, float]] = {}

    @property
    @abstractmethod
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The input tensors, in order."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The output tensors, in order."""

    @property
    def served(self) -> ServedValues:
        """The config values that the graph needs."""
        return ()

    @abstractmethod
    def build(self, config: Config) -> Any:
        """Build the module that `config` describes. The active torch mode makes its parameters.

        With `FakeTensorMode` or on the `meta` device the parameters need no memory. The caller (`models.modules.build`)
        handles the errors of the library for a config that it cannot build.
        """

    def renamed(self, module: Any, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors of a checkpoint, with older names converted to current ones as the library does.

        Args:
            module: the module of this part, on the meta device or with fake tensors.
            tensors: the tensors by their names in the checkpoint.
        """
        return tensors

    def adapted(self, name: str, stored: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The stored tensor in the `shape` of the parameter `name`, for older files with another shape."""
        return stored

    def ignores(self, name: str) -> bool:
        """Whether the libraries ignore the tensor `name` of a checkpoint, which no parameter of the module reads."""
        return False

    def needs(self, parameter: str) -> bool:
        """Whether the component may read `parameter` of the module."""
        return True

    @abstractmethod
    def load(self, folder: Path, variant: str | None, dtype: Any) -> tuple[Any, Sequence[str]]:
        """Load the module in `dtype` from `folder` with the library's loader; return it and the missing parameters."""

    def preload(self) -> None:  # noqa: B027 - not every part has to
        """Import the libraries that the methods need. Processes that are forked afterwards share them."""

    def prepare(self, module: Any) -> Any:
        """Prepare the module for the trace; it may be changed in place."""
        return module

    @abstractmethod
    def trace(self, module: Any, component: Component, size: Size, *inputs: Any, **_names: Any) -> Any:
        """The traced function: from the inputs of `component` in order, compute its outputs, a tensor or a tuple.

        A part gives names to the inputs. They become the names of the placeholders in the traced program.

        `component` may have other outputs than the part (those of a layout), or fewer inputs (constants of the graph).
        """

    @abstractmethod
    def reference(self, module: Any, component: Component, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Compute the outputs of `component`, in order, from `inputs` by name, as diffusers' pipeline does."""

    def observed(
        self, module: Any, component: Component, arguments: Sequence[Any], named: Mapping[str, Any], result: Any
    ) -> tuple[Mapping[str, Any], tuple[Any, ...]]:
        """Translate one call of `called`, which a pipeline of diffusers made, to the tensors of `component`.

        Args:
            module: the module.
            component: the component of the module.
            arguments: the positional arguments of the call.
            named: its keyword arguments.
            result: what the call returned.

        Returns:
            The inputs of `component` by name, and its outputs in order.
        """
        raise NotImplementedError(f"no pipeline of diffusers calls {self.module}")

    @abstractmethod
    def probe(self, spec: TensorSpec, shape: tuple[int, ...], config: Config) -> Any:
        """Make a realistic, seeded tensor for the input `spec`, on which activations are measured.

        This is called only for inputs that no other component computes.
        """

    def constants(self, size: Size) -> Mapping[str, tuple[float, ...]]:
        """The inputs that depend only on the size, by name: one row of the batch each."""
        return {}

    def without_statistics(self, config: Config) -> dict[str, Any]:
        """`config` without the values that the graph already applies, so that a pipeline does not apply them again."""
        return dict(config)
