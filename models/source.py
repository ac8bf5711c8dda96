"""A pipeline's checkpoint as a diffusers folder, wherever it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from models import hub
from models.checkpoint import Checkpoint
from models.component import Component
from models.errors import RequestError
from models.family import PARTS, Family, family_of
from models.json_file import read_json

EMBEDDED = {name: Path(__file__).parent / name for name in ("tiny", "tiny-xl")}
"""Checkpoints that travel with this project."""


@dataclass(frozen=True)
class Source:
    """A diffusers folder on disk, and where it came from.

    Attributes:
        name: as the user gave it: a hub id, a folder's name, or an embedded checkpoint's.
        folder: holds `model_index.json` and the components' folders.
        variant: the variant of the weights to read, such as `fp16`, or None for the main files.
        revision: the commit on the hub, or None.
        license: the licence that the model card states, or None.
        parts: by subfolder, components of other sources in place of this one's; the `folder` of each holds the
            component's own config and weights.
        root: the folder that was named, where `folder` lies inside of it; None where it is `folder` itself.
    """

    name: str
    folder: Path
    variant: str | None = None
    revision: str | None = None
    license: str | None = None
    parts: Mapping[str, Source] = field(default_factory=dict)
    root: Path | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that this and its parts come from, as they were named."""
        return (self.root or self.folder, *(folder for part in self.parts.values() for folder in part.folders))

    @cached_property
    def family(self) -> Family:
        """The family of the pipeline; RequestError where it is not served."""
        return family_of(read_json(self.folder / "model_index.json"), str(self.folder))

    @property
    def provenance(self) -> dict[str, Any]:
        """What a bundle states about where it comes from. No path: two exports give the same bytes."""
        return {
            "name": self.name,
            "revision": self.revision,
            "variant": self.variant,
            "license": self.license,
            **{subfolder: part.provenance for subfolder, part in self.parts.items()},
        }

    def folder_of(self, component: Component) -> tuple[Path, str | None]:
        """The folder that holds the component's config and weights, and the variant of the weights there."""
        part = self.parts.get(component.subfolder)
        if part is not None:
            return part.folder, part.variant
        return self.folder / component.subfolder, self.variant

    def config(self, component: Component) -> dict[str, Any]:
        """The component's config, checked against what is served.

        Raises:
            RequestError: where it is missing, unreadable, or of another architecture.
        """
        folder, _ = self.folder_of(component)
        path = folder / "config.json"
        if not path.is_file():
            raise RequestError(
                f"{folder.parent} has no {folder.name}/config.json",
                f"{component.name} needs it: give a complete diffusers folder",
            )
        config = read_json(path)
        component.require_served(config, str(path))
        return config

    def scheduler_config(self) -> dict[str, Any]:
        """The scheduler's config; RequestError where it is missing or unreadable."""
        return read_json(self.folder / "scheduler" / "scheduler_config.json")

    def checkpoint(self, component: Component) -> Checkpoint:
        """The component's weights, opened but unread; RequestError as `Checkpoint.open` raises it."""
        folder, variant = self.folder_of(component)
        return Checkpoint.open(folder, component.weights_stem, variant)


def open_source(
    source: str,
    *,
    variant: str | None = None,
    revision: str | None = None,
    components: Sequence[str] = (),
    fed: bool = False,
    parts: Mapping[str, str] = MappingProxyType({}),
    progress: bool = True,
) -> Source:
    """Open SOURCE: an embedded checkpoint's name, a diffusers folder, or a hub id.

    A folder that exists wins over a hub id of the same name. From the hub only the files that an export reads
    are fetched, into the user's own cache: those of `components`, or of all where none is named; where `fed`, also
    those of the components that feed them.

    Args:
        parts: by subfolder ("vae", "safety_checker") other sources, whose components take the place of SOURCE's, as
            `open_part` finds them.

    Raises:
        RequestError: where there is no such source, or it is not a diffusers folder.
    """
    others = {subfolder: open_part(other, subfolder, progress=progress) for subfolder, other in parts.items()}
    name, folder = _located(source)
    commit = None
    if folder is None:
        folder, commit = hub.fetch(
            source,
            revision=revision,
            variant=variant,
            components=components,
            fed=fed,
            without=frozenset(parts),
            progress=progress,
        )
    if revision is not None and commit is None:
        raise RequestError(f"{source} is a folder and has no revisions", "drop --revision, or give a hub id")
    if not (folder / "model_index.json").is_file():
        raise RequestError(f"{folder} has no model_index.json", "give a diffusers folder")
    return Source(name, folder, variant, commit, hub.license_of(folder), others)


def open_part(source: str, subfolder: str, *, progress: bool = True) -> Source:
    """Open one component of SOURCE, which is as for `open_source`, or a folder or hub repository that is it alone.

    Its main weights are read, not a variant of them, as its repository has them on the hub's main branch.

    Raises:
        RequestError: where there is no such source, or it has no such component.
    """
    component = PARTS[subfolder]
    name, folder = _located(source)
    commit = None
    if folder is None:
        folder, commit = hub.fetch_part(source, component, progress=progress)
    part = hub.part_folder(folder, source, component)
    return Source(name, part, revision=commit, license=hub.license_of(folder), root=folder)


def _located(source: str) -> tuple[str, Path | None]:
    """The name of SOURCE, and its folder where it is on this machine; None where it is a hub id."""
    folder = Path(source)
    try:
        is_folder, is_file = folder.is_dir(), folder.is_file()
    except OSError as error:
        raise RequestError(f"{source} cannot be opened ({error.strerror})", "give a diffusers folder") from error
    if is_folder:
        return folder.resolve().name, folder
    if source in EMBEDDED:
        return source, EMBEDDED[source]
    if is_file:
        raise RequestError(
            f"{source} is a single file",
            "give a diffusers folder: from_single_file(FILE).save_pretrained(FOLDER)",
        )
    if hub.is_repo_id(source):
        return source, None
    raise RequestError(
        f"{source!r} is no folder and no hub id",
        f"give a diffusers folder, OWNER/NAME on the hub, or {', '.join(EMBEDDED)}",
    )
