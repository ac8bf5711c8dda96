"""A pipeline's checkpoint as a diffusers folder, wherever it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from models import hub
from models.checkpoint import Checkpoint
from models.component import Component
from models.errors import RequestError
from models.family import Family, family_of
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
    """

    name: str
    folder: Path
    variant: str | None = None
    revision: str | None = None
    license: str | None = None

    @cached_property
    def family(self) -> Family:
        """The family of the pipeline; RequestError where it is not served."""
        return family_of(read_json(self.folder / "model_index.json"), str(self.folder))

    @property
    def provenance(self) -> dict[str, str | None]:
        """What a bundle states about where it comes from. No path: two exports give the same bytes."""
        return {
            "name": self.name,
            "revision": self.revision,
            "variant": self.variant,
            "license": self.license,
        }

    def config(self, component: Component) -> dict[str, Any]:
        """The component's config, checked against what is served.

        Raises:
            RequestError: where it is missing, unreadable, or of another architecture.
        """
        path = self.folder / component.subfolder / "config.json"
        if not path.is_file():
            raise RequestError(
                f"{self.folder} has no {component.subfolder}/config.json",
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
        return Checkpoint.open(self.folder / component.subfolder, component.weights_stem, self.variant)


def open_source(
    source: str,
    *,
    variant: str | None = None,
    revision: str | None = None,
    components: Sequence[str] = (),
    progress: bool = True,
) -> Source:
    """Open SOURCE: an embedded checkpoint's name, a diffusers folder, or a hub id.

    A folder that exists wins over a hub id of the same name. From the hub only the files that an export reads
    are fetched, into the user's own cache: those of `components`, or of all where none is named.

    Raises:
        RequestError: where there is no such source, or it is not a diffusers folder.
    """
    folder = Path(source)
    try:
        is_folder, is_file = folder.is_dir(), folder.is_file()
    except OSError as error:
        raise RequestError(f"{source} cannot be opened ({error.strerror})", "give a diffusers folder") from error
    name, commit = source, None
    if source in EMBEDDED and not is_folder:
        folder = EMBEDDED[source]
    elif is_folder:
        name = folder.resolve().name
    elif is_file:
        raise RequestError(
            f"{source} is a single file",
            "give a diffusers folder: from_single_file(FILE).save_pretrained(FOLDER)",
        )
    elif hub.is_repo_id(source):
        folder, commit = hub.fetch(source, revision=revision, variant=variant, components=components, progress=progress)
    else:
        raise RequestError(
            f"{source!r} is no folder and no hub id",
            f"give a diffusers folder, OWNER/NAME on the hub, or {', '.join(EMBEDDED)}",
        )
    if revision is not None and commit is None:
        raise RequestError(f"{source} is a folder and has no revisions", "drop --revision, or give a hub id")
    if not (folder / "model_index.json").is_file():
        raise RequestError(f"{folder} has no model_index.json", "give a diffusers folder")
    return Source(name, folder, variant, commit, hub.license_of(folder))
