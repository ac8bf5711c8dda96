"""A layout: the paths of a bundle's files, and the names and types of its tensors at the boundary.

The contract of a component is its inputs and outputs (`models.component`). A layout states which files, names and types
a program expects for them. The layouts are the files of `models/layouts/`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from turbo_webnn.models.chain import Adapter
from turbo_webnn.models.component import Component, TensorSpec
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.precision import FORMS, PRECISIONS, Form, Precision

Outputs = Callable[[Component, Mapping[str, Any]], Mapping[str, TensorSpec]]
"""The outputs of a component's graph in place of its contract's outputs, from the component and its config.

The keys are the contract's names, or the tensors' own names if the contract has no such tensor."""

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
"""The files that `tokenizers` and transformers.js read."""


@dataclass(frozen=True)
class Port:
    """The name and the form of a tensor of the contract at the boundary of a graph.

    Attributes:
        name: the name of the tensor at the boundary.
        dtype: numpy's name of its type at the boundary; None for the contract's type.
        scalar: whether a tensor of one number has no dimension at the boundary.
    """

    name: str
    dtype: str | None = None
    scalar: bool = False


@dataclass(frozen=True)
class Blanking:
    """Pictures as an additional input and output of a safety checker. Flagged pictures are black in the output.

    Attributes:
        flag: the output that states for each picture of the batch whether it is flagged.
        pictures: the input of pictures.
        blanked: the name of the output of pictures, which has the same shape.
    """

    flag: str
    pictures: TensorSpec
    blanked: str


@dataclass(frozen=True)
class Place:
    """A component in a layout.

    Attributes:
        path: the component's .onnx file, relative to the bundle.
        ports: by the contract's name, the ports of tensors that differ from the contract at the boundary.
        outputs: the outputs of the graph if they differ from the contract; else None.
        adapters: by the contract's name, the conversion of the graph's tensor to the contract's tensor.
        batch: the batch of the graph; None for the bundle's batch.
        blanking: the additional input and output of pictures; None if there are none.
    """

    path: str
    ports: Mapping[str, Port] = field(default_factory=dict)
    outputs: Outputs | None = None
    adapters: Mapping[str, Adapter] = field(default_factory=dict)
    batch: int | None = None
    blanking: Blanking | None = None

    def traced(self, component: Component, config: Mapping[str, Any]) -> Component:
        """`component` with the outputs that its graph has in this place."""
        if self.outputs is None:
            return component
        return replace(component, outputs=tuple(self.outputs(component, config).values()))

    def names(self, component: Component, config: Mapping[str, Any]) -> dict[str, str]:
        """By the contract's name, the graph's names that differ from it."""
        outputs = self.outputs(component, config) if self.outputs is not None else {}
        names = {name: spec.name for name, spec in outputs.items()} | {
            name: port.name for name, port in self.ports.items()
        }
        return {name: graph_name for name, graph_name in names.items() if graph_name != name}


@dataclass(frozen=True)
class Layout:
    """The files of a bundle of one family for one kind of program.

    Attributes:
        name: the name of the layout, as in `--layout`.
        family: the name of the family.
        places: the places of its components, by name.
        glue: the files of the small graphs between the components (`export.glue`), by name.
        precisions: the precisions that its programs read.
        forms: the forms of quantised products that its file names stand for.
        inline: whether weights are inside the .onnx file; else they are in shards beside it.
        reads_manifest: whether its programs read the graphs and their inputs from the manifest.
        tokenizer_files: the files in a tokenizer's folder.
        diffusers_files: whether it has `model_index.json` and the configs of a diffusers folder.
    """

    name: str
    family: str
    places: Mapping[str, Place]
    glue: Mapping[str, str] = field(default_factory=dict)
    precisions: tuple[Precision, ...] = PRECISIONS
    forms: tuple[Form, ...] = FORMS
    inline: bool = False
    reads_manifest: bool = False
    tokenizer_files: tuple[str, ...] = TOKENIZER_FILES
    diffusers_files: bool = False

    def chosen(self, names: Collection[str], available: Collection[str]) -> tuple[str, ...]:
        """The components `names` in the order of the layout; all `available` ones if `names` is empty.

        The small graphs follow if no available component is missing.

        Raises:
            RequestError: if the layout has no component of a name.
        """
        for name in names:
            if name not in self.places:
                raise RequestError(
                    f"the layout {self.name} has no component {name!r}", f"it has {', '.join(self.places)}"
                )
        complete = [name for name in self.places if name in available]
        chosen = [name for name in self.places if name in (names or complete)]
        return (*chosen, *(self.glue if set(chosen) >= set(complete) else ()))

    def require_freedom(self, *, chains: bool, baked: bool) -> None:
        """Refuse chains of graphs and omitted inputs if the layout's programs do not read the manifest.

        Args:
            chains: whether components may be split into chains of graphs.
            baked: whether inputs are constants of the graph.

        Raises:
            RequestError: if one of them is true and the programs do not read the manifest.
        """
        if (chains or baked) and not self.reads_manifest:
            raise RequestError(
                f"what loads the layout {self.name} knows its graphs and their inputs beforehand",
                f"drop {'--max-graph-bytes' if chains else '--bake-time-ids'}, or the layout",
            )
