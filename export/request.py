"""The options of an export, and the plan that they give for a source.

Both are checked before weights are downloaded or torch is loaded. An `ExportRequest` has the options of an export.
Together with a source it gives an `ExportPlan`. The process that makes the files receives the complete plan, and so
does the export of each component.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from turbo_webnn.export.pass_names import require_skippable
from turbo_webnn.export.quantize.plan import Quantization
from turbo_webnn.export.quantize.recipe import read_recipe
from turbo_webnn.models.arguments import Whole, require_texts, require_types
from turbo_webnn.models.bundle import require_bundle_place
from turbo_webnn.models.component import VAE_FACTOR, Component, Size
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.layouts.layout import Layout
from turbo_webnn.models.layouts.posterior import with_posterior
from turbo_webnn.models.layouts.registry import DEFAULT, layout_of
from turbo_webnn.models.precision import BOUNDARY_TYPE, FORMS, NUMBERS, PRECISIONS, Form, Precision
from turbo_webnn.models.source import Source
from turbo_webnn.models.staging import require_apart


@dataclass(frozen=True)
class ExportRequest:
    """The options of an export, as `export.exporter.export_bundle` and the command's help describe them.

    Attributes:
        height: of the pictures; None for the model's own, as `width`.

    Raises:
        RequestError: if an option is wrong for every source.
    """

    output: Path
    precision: Precision = "fp16"
    components: tuple[str, ...] = ()
    batch: int = 1
    height: int | None = None
    width: int | None = None
    max_graph_bytes: int | None = None
    layout: str = DEFAULT
    bake_time_ids: bool = False
    quantization: Form = "qdq"
    size_budget: int | None = None
    recipe: Path | None = None
    skip_passes: tuple[str, ...] = ()
    sample_posterior: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        require_types(
            max_graph_bytes=(self.max_graph_bytes, Whole | None), size_budget=(self.size_budget, Whole | None)
        )
        require_types(precision=(self.precision, str), layout=(self.layout, str), recipe=(self.recipe, Path | None))
        require_texts(components=self.components, skip_passes=self.skip_passes)
        require_skippable(self.skip_passes)
        if self.precision not in PRECISIONS:
            raise RequestError(f"there is no precision {self.precision!r}", f"there is {', '.join(PRECISIONS)}")
        if self.quantization not in FORMS:
            raise RequestError(f"there is no quantization {self.quantization!r}", f"there is {', '.join(FORMS)}")
        if not self._quantized and (self.size_budget is not None or self.recipe is not None):
            raise RequestError(f"{self.precision} has one size, whatever is asked", "give --precision q8f16 or q4f16")
        if self.size_budget is not None and self.recipe is not None:
            raise RequestError("a recipe states the bits already, so no budget can", "give one of the two")

    @property
    def measured(self) -> bool:
        """Whether components are run to find overflows. Then the components that compute their inputs are needed."""
        return BOUNDARY_TYPE[self.precision] == "float16"

    def require_files(self) -> None:
        """Refuse an output that cannot be written, and a recipe that cannot be read, for any source.

        Raises:
            RequestError: names the file and what would be right.
        """
        require_bundle_place(self.output, overwrite=self.overwrite)
        _ = self._weights

    def plan(self, source: Source) -> ExportPlan:
        """Make the plan for `source`. Only its configs are read.

        Raises:
            RequestError: if the source cannot serve the request.
        """
        require_apart(self.output, source.places)
        family = source.family
        components = self.components
        given_optional = [component.name for component in family.optional if component.subfolder in source.parts]
        if given_optional:
            components = (*(components or [component.name for component in family.components]), *given_optional)
        layout = self.layout_for(family)
        layout.require_freedom(chains=self.max_graph_bytes is not None, baked=self.bake_time_ids)
        names = layout.chosen(components, [component.name for component in family.components])
        component_names = [name for name in names if name in layout.places]
        if self.sample_posterior and family.wiring.encoder not in component_names:
            wrong = f"--sample-posterior is about the {family.wiring.encoder}, which is not exported"
            raise RequestError(wrong, f"drop it, or add --component {family.wiring.encoder}")
        source.require_served(family.chosen(component_names, fed=self.measured))
        size = native_size(source, batch=self.batch, height=self.height, width=self.width)
        return ExportPlan(self, source, names, size, self._weights)

    def layout_for(self, family: Family) -> Layout:
        """The layout of a bundle of `family`; RequestError as `layout_of` and `with_posterior` of `models.layouts`."""
        form = self.quantization if self._quantized else None
        layout = layout_of(self.layout, family.name, self.precision, form)
        return with_posterior(layout, family) if self.sample_posterior else layout

    @property
    def _quantized(self) -> bool:
        return NUMBERS[self.precision].quantized

    @cached_property
    def _weights(self) -> Quantization | None:
        """How weights are quantised, or None if they are not."""
        if not self._quantized:
            return None
        recipe = None if self.recipe is None else read_recipe(self.recipe)
        return Quantization(NUMBERS[self.precision].weight_bits, self.quantization, self.size_budget, recipe)


@dataclass(frozen=True)
class ExportPlan:
    """What `request` makes of `source`.

    Attributes:
        names: what the bundle holds, in its layout's order; small graphs of ours are among them.
        size: the one size that the bundle serves.
        quantization: how weights are quantised, or None where they are not.
    """

    request: ExportRequest
    source: Source
    names: tuple[str, ...]
    size: Size
    quantization: Quantization | None

    @cached_property
    def layout(self) -> Layout:
        """The layout of the bundle."""
        return self.request.layout_for(self.source.family)

    @cached_property
    def exported(self) -> tuple[Component, ...]:
        """The components that become graphs, without the inputs whose values are constants of the graphs."""
        family = self.source.family
        baked = frozenset(family.denoiser.constants(self.size) if self.request.bake_time_ids else ())
        return tuple(family.component(name).without_inputs(baked) for name in self.names if name in self.layout.places)

    @property
    def read(self) -> tuple[Component, ...]:
        """The components whose weights are read. With measurement, also those that compute inputs of exported ones."""
        chosen = [component.name for component in self.exported]
        return tuple(self.source.family.chosen(chosen, fed=self.request.measured))


def native_size(source: Source, *, batch: int = 1, height: int | None = None, width: int | None = None) -> Size:
    """The size of the pictures. A side that is None comes from the UNet's `sample_size`.

    Raises:
        RequestError: if a side is None and the UNet states no `sample_size`, or if the size is not served.
    """
    if height is None or width is None:
        native = source.native_latent_size()
        if native is None:
            raise RequestError(f"the UNet of {source.name} states no sample_size", "give --height and --width")
        rows, columns = native
        height = VAE_FACTOR * rows if height is None else height
        width = VAE_FACTOR * columns if width is None else width
    return Size(batch, height, width)
