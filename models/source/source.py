"""A pipeline's checkpoint as a diffusers folder, wherever it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from turbo_webnn.models.checkpoint import Checkpoint
from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.families.registry import family_of
from turbo_webnn.models.json_file import read_json
from turbo_webnn.models.pipeline_values import native_latent_size, require_served_index, scheduler_config_in_use
from turbo_webnn.models.provenance import Provenance
from turbo_webnn.models.schedulers.scheduler import scheduler_of
from turbo_webnn.models.source.files import PIPELINE_INDEX, SCHEDULER_CONFIG
from turbo_webnn.models.source.variants import MAIN


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
        variants: by subfolder, the variant that is read there where it is not `variant`: a component may lack that.
    """

    name: str
    folder: Path
    variant: str | None = None
    revision: str | None = None
    license: str | None = None
    parts: Mapping[str, Source] = field(default_factory=dict)
    root: Path | None = None
    variants: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def notices(self) -> tuple[str, ...]:
        """A line for each component whose weights are read in another variant than the one asked for."""
        lines = [
            f"{self.name}: {subfolder} has no {self.variant or MAIN} weights; its {taken or MAIN} ones are read"
            for subfolder, taken in self.variants.items()
        ]
        return (*lines, *(line for part in self.parts.values() for line in part.notices))

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that this and its parts come from, as they were named."""
        return (self.root or self.folder, *(folder for part in self.parts.values() for folder in part.folders))

    @cached_property
    def _index(self) -> dict[str, Any]:
        return read_json(self.folder / PIPELINE_INDEX)

    @cached_property
    def family(self) -> Family:
        """The family of the pipeline; RequestError where it, a class or a value in `model_index.json` is not served."""
        family = family_of(self._index, str(self.folder))
        own = {each.subfolder: each.module for each in family.components if each.subfolder not in self.parts}
        require_served_index(self._index, own, str(self.folder / PIPELINE_INDEX))
        return family

    @property
    def provenance(self) -> Provenance:
        """What a bundle states about where it comes from."""
        stated: Provenance = {
            "name": self.name,
            "revision": self.revision,
            "variant": self.variant,
            "license": self.license,
        }
        if self.variants:
            stated["variants"] = dict(self.variants)
        parts = {subfolder: part.provenance for subfolder, part in self.parts.items()}
        return cast("Provenance", {**stated, **parts})

    def folder_of(self, component: Component) -> tuple[Path, str | None]:
        """The folder that holds the component's config and weights, and the variant of the weights there."""
        part = self.parts.get(component.subfolder)
        if part is not None:
            return part.folder, part.variants.get(component.subfolder, part.variant)
        subfolder = component.subfolder
        return self.folder / subfolder, self.variants.get(subfolder, self.variant)

    def require_served(self, components: Iterable[Component]) -> None:
        """Refuse what configs tell: `components` of other architectures or sizes, or another scheduler.

        Raises:
            RequestError: names the first thing that is not served, and what would be.
        """
        self.family.require_agreement({component.name: self.config(component) for component in components})
        scheduler_of(self.scheduler_config(), self.family.schedulers)

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
        """The scheduler's config as the pipeline uses it; RequestError where it is missing, unreadable or not used."""
        path = self.folder / SCHEDULER_CONFIG
        return scheduler_config_in_use(self._index, read_json(path), str(path), self.family.schedulers)

    def native_latent_size(self) -> tuple[int, int] | None:
        """Rows and columns of latents that the pipeline draws where no size is named, or None."""
        return native_latent_size(self._index, self.config(self.family.denoiser))

    def checkpoint(self, component: Component) -> Checkpoint:
        """The component's weights, opened but unread; RequestError as `Checkpoint.open` raises it."""
        folder, variant = self.folder_of(component)
        return Checkpoint.open(folder, component.weights_stem, variant)
