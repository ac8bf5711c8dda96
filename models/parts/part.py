"""A part: all that is said of one torch module class, or of one half of an autoencoder.

A part is a frozen object without state. A family names it as a `Component` and connects it to others. Methods that
need torch import it themselves, so that a program that only runs bundles does not load it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from turbo_webnn.models.component import Component, Size, TensorSpec
from turbo_webnn.models.parts.weight_rules import WeightRules

if TYPE_CHECKING:
    from turbo_webnn.models.checkpoint import StoredTensor

Config = Mapping[str, Any]
"""A module's config, as its `config.json` states it."""

ServedValues = tuple[tuple[str, tuple[Any, ...]], ...]
"""Config keys and the values that are served; the first is the library's default."""


class Part(ABC):
    """What every stage needs to know of a module class.

    Attributes:
        module: the class, by its name in its library.
        noun: what messages call it.
        weights_stem: file name of its weights in a diffusers folder, before `.safetensors`.
        form: the types and bounds of the numbers in its config.
        served: config values that the graph relies on; another value is refused.
        key_rules: prefixes of the module's own parameter names, and the prefixes of published keys instead, where the
            published form differs from the module's.
        weights: how its weights are quantised where neither a recipe nor a budget says otherwise.
        gains: for random weights (`synth`), factors by the end of a parameter's name that keep activations in the
            range of a trained model's.
    """

    module: ClassVar[str]
    noun: ClassVar[str]
    weights_stem: ClassVar[str]
    form: ClassVar[type[object]]
    key_rules: ClassVar[tuple[tuple[str, str], ...]] = ()
    weights: ClassVar[WeightRules] = WeightRules()
    gains: ClassVar[Mapping[str, float]] = {}

    @property
    @abstractmethod
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that it takes, in order."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The tensors that it gives, in order."""

    @property
    def served(self) -> ServedValues:
        """Config values that the graph relies on."""
        return ()

    @abstractmethod
    def build(self, config: Config) -> Any:
        """The module that `config` describes, its parameters made by whatever torch mode is active.

        Under `FakeTensorMode` or the `meta` device no parameter takes memory. What the library raises for a config
        that it cannot build is left to the caller (`models.modules.build`).
        """

    def renamed(self, module: Any, tensors: Mapping[str, StoredTensor]) -> Mapping[str, StoredTensor]:
        """A checkpoint's tensors, with older names brought up to date as the library does it.

        Args:
            module: of this part, on the meta device or fake.
            tensors: by their names in the checkpoint.
        """
        return tensors

    def adapted(self, name: str, stored: StoredTensor, shape: tuple[int, ...]) -> StoredTensor:
        """The stored tensor as the parameter `name` of `shape` reads it, where older files have another shape."""
        return stored

    @abstractmethod
    def load(self, folder: Path, variant: str | None, dtype: Any) -> tuple[Any, Sequence[str]]:
        """The module in `dtype` by the library's own loader, from `folder`; and the parameters that were missing."""

    def prepare(self, module: Any) -> Any:
        """The module as it can be traced; it may be changed in place."""
        return module

    @abstractmethod
    def trace(self, module: Any, component: Component, size: Size, *inputs: Any, **_names: Any) -> Any:
        """What is traced: the outputs of `component`, a tensor or a tuple of them, from its inputs in order.

        A part names its inputs; the names become those of the traced program's placeholders.

        `component` may have other outputs than the part (a layout's), or fewer inputs (numbers in the graph instead).
        """

    @abstractmethod
    def reference(self, module: Any, component: Component, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """What diffusers' pipeline makes of `inputs`, by name, with `module`: the outputs of `component` in order."""

    @abstractmethod
    def probe(self, spec: TensorSpec, shape: tuple[int, ...], config: Config) -> Any:
        """A tensor for the input `spec` as it is met in use, seeded: on it activations are measured.

        Asked for inputs alone that no other component gives.
        """

    def constants(self, size: Size) -> Mapping[str, tuple[float, ...]]:
        """Inputs that only the size decides, by name: one row of the batch each."""
        return {}

    def without_statistics(self, config: Config) -> dict[str, Any]:
        """`config` without what the graph does already, for a pipeline that would do it once more."""
        return dict(config)
