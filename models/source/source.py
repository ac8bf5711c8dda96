"""The checkpoint of a pipeline: a diffusers folder, or one file with the configs of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from turbo_webnn.models.checkpoint import Checkpoint
from turbo_webnn.models.checkpoint.safetensors_file import Header
from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.families.registry import family_of
from turbo_webnn.models.json_file import read_json
from turbo_webnn.models.loras import Lora
from turbo_webnn.models.parts.forms.autoencoder_kl import SCALING_FACTOR
from turbo_webnn.models.pipeline_values import native_latent_size, require_served_index, scheduler_config_in_use
from turbo_webnn.models.provenance import Provenance
from turbo_webnn.models.schedulers.scheduler import scheduler_of
from turbo_webnn.models.source.files import PIPELINE_INDEX, SCHEDULER_CONFIG
from turbo_webnn.models.source.variants import MAIN

_TRAINING = ("loss.", "model_ema.")
"""What the training of a component left in its file."""


@dataclass(frozen=True)
class Source:
    """A checkpoint on disk, and its origin.

    Attributes:
        name: as the user wrote it: a hub id, the name of a folder or file, or an embedded checkpoint's.
        folder: holds `model_index.json` and the components' folders.
        variant: the variant of the weights to read, such as `fp16`, or None for the main files.
        revision: the commit on the hub, or None.
        license: the licence that the model card states, or None.
        parts: by subfolder, other sources whose components replace those of this source. The `folder` of each
            holds the component's config and weights.
        root: the folder that the user named, where `folder` is inside it; None where both are the same.
        variants: by subfolder, the variant that is read in place of `variant`, where the component lacks that.
        file: a file with the weights of all components, or of the one component of a part; `folder` then holds the
            configs only. None where the weights lie in `folder`.
        config_source: the source that `folder` belongs to, where the weights are in `file`.
        loras: are added to the weights.
        scheduler: values that replace those of the scheduler's config.
        remote: the headers of files that are not downloaded yet, by path.
    """

    name: str
    folder: Path
    variant: str | None = None
    revision: str | None = None
    license: str | None = None
    parts: Mapping[str, Source] = field(default_factory=dict)
    root: Path | None = None
    variants: Mapping[str, str | None] = field(default_factory=dict)
    file: Path | None = None
    config_source: Source | None = None
    loras: tuple[Lora, ...] = ()
    scheduler: Mapping[str, str] = field(default_factory=dict)
    remote: Mapping[str, Header] = field(default_factory=dict)

    @property
    def notices(self) -> tuple[str, ...]:
        """Lines about choices that the user did not make: other variants of weights, and configs of a single file."""
        lines = [
            f"{self.name}: {subfolder} has no {self.variant or MAIN} weights; its {replacement or MAIN} ones are read"
            for subfolder, replacement in self.variants.items()
        ]
        return (*lines, *(line for part in self.parts.values() for line in part.notices))

    @property
    def places(self) -> tuple[Path, ...]:
        """The folders and files of this source, its configs, its parts and its LoRAs, as the user named them."""
        own = (self.root or self.folder) if self.file is None else self.file
        configs = () if self.config_source is None else self.config_source.places
        loras = (lora.path for lora in self.loras)
        return (own, *configs, *loras, *(place for part in self.parts.values() for place in part.places))

    @cached_property
    def _index(self) -> dict[str, Any]:
        return read_json(self.folder / PIPELINE_INDEX)

    @cached_property
    def family(self) -> Family:
        """The family of the pipeline; raises RequestError for an unsupported class or value in `model_index.json`."""
        family = family_of(self._index, str(self.folder))
        own = {
            component.subfolder: component.module
            for component in family.components
            if component.subfolder not in self.parts
        }
        require_served_index(self._index, own, str(self.folder / PIPELINE_INDEX))
        return family

    @property
    def provenance(self) -> Provenance:
        """The origin of the checkpoint, as a bundle states it."""
        fields: Provenance = {
            "name": self.name,
            "revision": self.revision,
            "variant": self.variant,
            "license": self.license,
        }
        if self.variants:
            fields["variants"] = dict(self.variants)
        if self.config_source is not None:
            fields["config"] = self.config_source.provenance
        if self.scheduler:
            fields["scheduler"] = dict(self.scheduler)
        if self.loras:
            fields["loras"] = [lora.provenance for lora in self.loras]
        parts = {subfolder: part.provenance for subfolder, part in self.parts.items()}
        return cast("Provenance", {**fields, **parts})

    def folder_of(self, component: Component) -> tuple[Path, str | None]:
        """The folder that holds the component's config and weights, and the variant of the weights there."""
        part = self.parts.get(component.subfolder)
        if part is not None:
            return part.folder, part.variants.get(component.subfolder, part.variant)
        subfolder = component.subfolder
        return self.folder / subfolder, self.variants.get(subfolder, self.variant)

    def file_of(self, component: Component) -> Path | None:
        """The single file that holds the component's weights; None where they are in its folder."""
        return self.parts.get(component.subfolder, self).file

    def require_served(self, components: Iterable[Component]) -> None:
        """Refuse `components` whose configs have an unsupported architecture or size, or an unsupported scheduler.

        Raises:
            RequestError: names the first unsupported value, and the supported ones.
        """
        self.family.require_agreement({component.name: self.config(component) for component in components})
        scheduler_of(self.scheduler_config(), self.family.schedulers)

    def config(self, component: Component) -> dict[str, Any]:
        """Read and check the config of a component.

        Raises:
            RequestError: where it is missing, unreadable, or of an unsupported architecture.
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
        """The scheduler's config as the pipeline uses it; raises RequestError where it is missing or invalid."""
        path = self.folder / SCHEDULER_CONFIG
        config = scheduler_config_in_use(self._index, read_json(path), str(path), self.family.schedulers)
        return {**config, **self.scheduler}

    @property
    def scaling_factor(self) -> float:
        """The factor of the VAE: latents are multiplied by it after the encoder, and divided before the decoder."""
        return float(self.config(self.family.decoder).get("scaling_factor", SCALING_FACTOR))

    def native_latent_size(self) -> tuple[int, int] | None:
        """Rows and columns of latents that the pipeline draws where no size is named, or None."""
        return native_latent_size(self._index, self.config(self.family.denoiser))

    def checkpoint(self, component: Component) -> Checkpoint:
        """The component's weights, opened but unread, under the names of the file.

        Raises:
            RequestError: as `Checkpoint.open`, or where a single file has no tensors of the component.
        """
        owner = self.parts.get(component.subfolder, self)
        if owner.file is None:
            folder, variant = self.folder_of(component)
            return Checkpoint.open(folder, component.weights_stem, variant, owner.remote)
        whole = Checkpoint.of_file(owner.file, owner.remote)
        own = whole.under(component.prefixes)
        if own.tensors:
            return own
        if owner is self:
            prefix = " or ".join(component.prefixes) or "its name"
            raise RequestError(
                f"{self.name} holds no {component.part.noun} (no tensor starts with {prefix})",
                "give a file with all components, or export those that it has with --component",
            )
        return whole.outside(_TRAINING)  # a file of this component alone


ELSEWHERE = Source("", Path())
"""Stands for a part of another source while the source that it belongs to is opened."""
