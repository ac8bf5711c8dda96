"""What a bundle is asked to be, judged by options and configs: before weights are fetched or torch is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from turbo_webnn.export.pass_names import require_skippable
from turbo_webnn.export.quantize.plan import Quantization
from turbo_webnn.export.quantize.recipe import read_recipe
from turbo_webnn.models.arguments import Whole, require_texts, require_types
from turbo_webnn.models.bundle import require_bundle_place
from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.layouts import DEFAULT, layout_of
from turbo_webnn.models.precision import BOUNDARY_TYPE, FORMS, NUMBERS, PRECISIONS, Form, Precision
from turbo_webnn.models.source import Source
from turbo_webnn.models.staging import require_apart


@dataclass(frozen=True)
class Plan:
    """What is made of a source.

    Attributes:
        names: what the bundle holds, in its layout's order; small graphs of ours are among them.
        exported: the components that become graphs.
        read: those whose weights are read: also what feeds the exported ones, where it is measured.
    """

    names: tuple[str, ...]
    exported: tuple[Component, ...]
    read: tuple[Component, ...]


@dataclass(frozen=True)
class ExportRequest:
    """The options of an export, as `export.exporter.export_bundle` describes them.

    Raises:
        RequestError: where one of them is wrong whatever the source is.
    """

    output: Path
    precision: Precision = "fp16"
    components: Sequence[str] = ()
    max_graph_bytes: int | None = None
    layout: str = DEFAULT
    bake_time_ids: bool = False
    form: Form = "qdq"
    size_budget: int | None = None
    recipe: Path | None = None
    skip_passes: Sequence[str] = ()
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
        require_bundle_place(self.output, overwrite=self.overwrite)
        _ = self.quantization

    @property
    def measured(self) -> bool:
        """Whether components are run for what overflows, so that those which feed them are needed."""
        return BOUNDARY_TYPE[self.precision] == "float16"

    @cached_property
    def quantization(self) -> Quantization | None:
        """What is asked of the weights, or None where they are not to be quantised."""
        if self.form not in FORMS:
            raise RequestError(f"there is no quantization {self.form!r}", f"there is {', '.join(FORMS)}")
        if not NUMBERS[self.precision].quantized:
            if self.size_budget is not None or self.recipe is not None:
                raise RequestError(
                    f"{self.precision} has one size, whatever is asked", "give --precision q8f16 or q4f16"
                )
            return None
        if self.size_budget is not None and self.recipe is not None:
            raise RequestError("a recipe states the bits already, so no budget can", "give one of the two")
        recipe = None if self.recipe is None else read_recipe(self.recipe)
        return Quantization(NUMBERS[self.precision].weight_bits, self.form, self.size_budget, recipe)

    def plan(self, source: Source) -> Plan:
        """What is made of `source`, as far as its configs tell.

        Raises:
            RequestError: where it cannot serve the request.
        """
        require_apart(self.output, source.folders)
        family = source.family
        components = self.components
        added = [component.name for component in family.optional if component.subfolder in source.parts]
        if added:
            components = [*(components or [component.name for component in family.components]), *added]
        form = self.quantization.form if self.quantization else None
        layout = layout_of(self.layout, family.name, self.precision, form)
        layout.require_freedom(chains=self.max_graph_bytes is not None, baked=self.bake_time_ids)
        names = layout.chosen(components, [component.name for component in family.components])
        exported = tuple(family.component(name) for name in names if name in layout.places)
        read = family.chosen([component.name for component in exported], fed=self.measured)
        source.require_served(read)
        return Plan(names, exported, read)
