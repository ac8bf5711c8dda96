"""What a layout is: where a bundle's files lie, what its tensors are called there, and which types cross the boundary.

A component's contract (`models.family`) says what it computes; a layout says how that looks to the program which
loads it. The layouts themselves are the entries of `models/layouts/`.
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
"""What a component gives in place of its contract's outputs, from the component and its config.

The keys are the contract's names, and the tensors' own where the contract has no such thing."""

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
"""What `tokenizers` and transformers.js read."""


@dataclass(frozen=True)
class Port:
    """How a tensor of the contract crosses the boundary.

    Attributes:
        name: what it is called there.
        dtype: numpy's name of its type there; None for the contract's.
        scalar: whether its one number has no dimension there.
    """

    name: str
    dtype: str | None = None
    scalar: bool = False


@dataclass(frozen=True)
class Blanking:
    """Pictures that a safety checker takes besides, and gives back black where it finds something.

    Attributes:
        flag: the output that says for each picture of the batch whether it does.
        pictures: as they come in.
        blanked: the name of those that go out, of the same shape.
    """

    flag: str
    pictures: TensorSpec
    blanked: str


@dataclass(frozen=True)
class Place:
    """A component in a layout.

    Attributes:
        path: its .onnx file, relative to the bundle.
        ports: by the contract's name, for the tensors that cross the boundary otherwise than the contract says.
        outputs: what it gives where that is not what the contract says; None where it is.
        adapters: by the contract's name, what makes the contract's tensor of the one here.
        batch: pictures at a time where that does not follow the bundle's.
        blanking: what it does to pictures besides; None for nothing.
    """

    path: str
    ports: Mapping[str, Port] = field(default_factory=dict)
    outputs: Outputs | None = None
    adapters: Mapping[str, Adapter] = field(default_factory=dict)
    batch: int | None = None
    blanking: Blanking | None = None

    def traced(self, component: Component, config: Mapping[str, Any]) -> Component:
        """`component` with the outputs that its graph has here."""
        if self.outputs is None:
            return component
        return replace(component, outputs=tuple(self.outputs(component, config).values()))

    def names(self, component: Component, config: Mapping[str, Any]) -> dict[str, str]:
        """By the contract's name, what is called otherwise here."""
        given = self.outputs(component, config) if self.outputs is not None else {}
        names = {name: spec.name for name, spec in given.items()} | {
            name: port.name for name, port in self.ports.items()
        }
        return {name: here for name, here in names.items() if here != name}


@dataclass(frozen=True)
class Layout:
    """How a bundle of one family lies on disk for one kind of program.

    Attributes:
        name: as `--layout` takes it.
        family: the family that it is a layout of, by name.
        places: the components that it has, by name.
        glue: files of the small graphs between them (`export.glue`), by name.
        precisions: those that its programs read.
        forms: of quantised products, those that its names stand for.
        inline: whether weights lie in the .onnx file; else in shards beside it.
        reads_manifest: whether its programs learn from the manifest what graphs there are and what they take.
        tokenizer_files: what a tokenizer's folder holds.
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
        """The components `names` in the layout's own order, or all that are `available` where none is named.

        The small graphs come where none of the available ones is missing.

        Raises:
            RequestError: where it has no such component.
        """
        for name in names:
            if name not in self.places:
                raise RequestError(
                    f"the layout {self.name} has no component {name!r}", f"it has {', '.join(self.places)}"
                )
        whole = [name for name in self.places if name in available]
        chosen = [name for name in self.places if name in (names or whole)]
        return (*chosen, *(self.glue if set(chosen) >= set(whole) else ()))

    def require_freedom(self, *, chains: bool, baked: bool) -> None:
        """Refuse what only a program that reads the manifest can follow: chains of graphs, and inputs left out.

        Raises:
            RequestError: where one is asked for and its programs read none.
        """
        if (chains or baked) and not self.reads_manifest:
            raise RequestError(
                f"what loads the layout {self.name} knows its graphs and their inputs beforehand",
                f"drop {'--max-graph-bytes' if chains else '--bake-time-ids'}, or the layout",
            )
