"""A component: a part, its tensors at the boundary, and the folder of its config and weights in a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import Meta

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import convert_json
from turbo_webnn.models.printable import printable

if TYPE_CHECKING:
    from turbo_webnn.models.parts.part import Part

_UNALTERED: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("quantization_config", (None,)),
    ("_use_default_values", (None, ())),
)
"""With other values the libraries change the weights of a module, or read other keys as if they were not there."""

Kind = Literal["float", "int"]
"""`float` is the bundle's precision at the boundary; `int` is int32."""

VAE_FACTOR = 8
"""Pixels per latent along each side: AutoencoderKL halves pictures three times (so do both published VAEs)."""

MAX_BATCH = 1024
"""The most pictures of one run: no device that runs these models has memory for more."""

MAX_SIDE = 32768
"""The most pixels along one side of a picture."""

Batch = Annotated[int, Meta(ge=1, le=MAX_BATCH)]
Pixels = Annotated[int, Meta(ge=VAE_FACTOR, le=MAX_SIDE, multiple_of=VAE_FACTOR)]


@dataclass(frozen=True)
class Size:
    """The one size that a bundle serves: `batch` pictures of `height` by `width` pixels.

    Raises:
        RequestError: where a side is not a positive multiple of the VAE's factor, the batch is not positive, or either
            is beyond what any device holds.
    """

    batch: Batch = 1
    height: Pixels = 512
    width: Pixels = 512

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise RequestError(f"batch {self.batch} is not positive", "give 1 or more")
        for name, value, most in (
            ("batch", self.batch, MAX_BATCH),
            ("height", self.height, MAX_SIDE),
            ("width", self.width, MAX_SIDE),
        ):
            if value > most:
                raise RequestError(f"{name} {printable(str(value), 40)} is too large", f"give {most} or less")
        for name, side in (("height", self.height), ("width", self.width)):
            if side < VAE_FACTOR or side % VAE_FACTOR:
                near = max(VAE_FACTOR, round(side / VAE_FACTOR) * VAE_FACTOR)
                raise RequestError(
                    f"{name} {side} is not a multiple of {VAE_FACTOR}, the VAE's factor", f"{near} would be"
                )

    @property
    def latent_height(self) -> int:
        """Rows of latents."""
        return self.height // VAE_FACTOR

    @property
    def latent_width(self) -> int:
        """Columns of latents."""
        return self.width // VAE_FACTOR


@dataclass(frozen=True)
class DerivedDim:
    """A dimension that the function `of` computes from the values of `keys` in the component's config."""

    keys: tuple[str, ...]
    of: Callable[..., int]


Dim = int | str | DerivedDim
"""A number, a field of `Size`, the name of a number in the component's config, or a number computed from the config."""


@dataclass(frozen=True)
class TensorSpec:
    """One tensor at a component's boundary."""

    name: str
    kind: Kind
    dims: tuple[Dim, ...]

    def shape(self, size: Size, config: Mapping[str, Any]) -> tuple[int, ...]:
        """The static shape for `size`. Named dimensions are fields of `size` or values of `config`."""
        return tuple(_number(dim, size, config) for dim in self.dims)


def _number(dim: Dim, size: Size, config: Mapping[str, Any]) -> int:
    if isinstance(dim, DerivedDim):
        return dim.of(*(int(config[key]) for key in dim.keys))
    return dim if isinstance(dim, int) else int(getattr(size, dim, None) or config[dim])


@dataclass(frozen=True)
class Component:
    """A part under the name that a family gives it. A component becomes a graph, or a chain of graphs.

    Attributes:
        name: the component's name in a bundle, and its folder there.
        part: the description of its module class.
        subfolder: the folder of its config and weights in a diffusers folder.
        inputs: its input tensors, in order.
        outputs: its output tensors, in order.
        tokenizer: the folder of the tokenizer whose ids it reads; None if it reads no text.
        prefixes: the possible prefixes of its tensors in a single file with all components.
    """

    name: str
    part: Part
    subfolder: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    tokenizer: str | None = None
    prefixes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        part: Part,
        name: str,
        subfolder: str | None = None,
        *,
        tokenizer: str | None = None,
        prefixes: tuple[str, ...] = (),
    ) -> Component:
        """Make the component `name` of `part`. The default of `subfolder` is `name`."""
        return cls(name, part, subfolder or name, part.inputs, part.outputs, tokenizer, prefixes)

    @property
    def module(self) -> str:
        """The name of its module class in diffusers or transformers."""
        return self.part.module

    @property
    def weights_stem(self) -> str:
        """File name of its weights, before `.safetensors`."""
        return self.part.weights_stem

    def keys(self, parameter: str) -> tuple[str, ...]:
        """The names of `parameter` in checkpoints, the published form first."""
        rules = self.part.key_rules
        published = (new + parameter.removeprefix(own) for own, new in rules if parameter.startswith(own))
        return (*published, parameter)

    def without_inputs(self, names: frozenset[str]) -> Component:
        """The component without the inputs `names`, whose numbers are constants of its graph instead."""
        return replace(self, inputs=tuple(spec for spec in self.inputs if spec.name not in names))

    def constants(self, size: Size) -> dict[str, tuple[float, ...]]:
        """Its inputs that depend only on the size, by name: one row of the batch each."""
        names = {spec.name for spec in self.inputs}
        return {name: row for name, row in self.part.constants(size).items() if name in names}

    def require_served(self, config: Mapping[str, Any], where: str) -> None:
        """Refuse a config that this component cannot serve.

        Raises:
            RequestError: names the first value that is not served, and the values that are served.
        """
        architectures = config.get("architectures")
        first = architectures[0] if isinstance(architectures, list) and architectures else None
        module = config.get("_class_name") or first
        if module is not None and module != self.module:
            raise RequestError(f"{where} describes {printable(str(module))}", f"{self.name} must be {self.module}")
        convert_json(config, self.part.form, where, "give the config that its weights were saved with")
        for key, values in (*self.part.served, *_UNALTERED):
            value = config.get(key, values[0])
            value = tuple(value) if isinstance(value, list) else value
            if value not in values:
                served = " or ".join(repr(v) for v in values)
                raise RequestError(
                    f"{where} has {key} = {printable(repr(value))}", f"{self.name} is served with {served}"
                )
        for key in self._dimension_keys():
            if type(config.get(key)) is not int or config[key] < 1:
                raise RequestError(
                    f"{where} has {key} = {printable(repr(config.get(key)))}", f"{self.name} needs a positive number"
                )

    def _dimension_keys(self) -> list[str]:
        """The keys of the config whose values are dimensions at the boundary, or give such dimensions."""
        dims = [dim for spec in (*self.inputs, *self.outputs) for dim in spec.dims]
        named = {dim for dim in dims if isinstance(dim, str) and not hasattr(Size, dim)}
        return sorted(named.union(*(dim.keys for dim in dims if isinstance(dim, DerivedDim))))
