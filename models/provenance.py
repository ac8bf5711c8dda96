"""The origin of a checkpoint, as a bundle's manifest and a verification state it."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class LoraProvenance(TypedDict):
    """A LoRA that is added to the weights of a checkpoint.

    Attributes:
        name: as the user gave it: a file's name, or a place on the hub.
        sha256: of the file.
        weight: the factor of its differences.
        revision: the commit on the hub.
        license: the licence that its model card states.
    """

    name: str
    sha256: str
    weight: float
    revision: str | None
    license: str | None


class Provenance(TypedDict):
    """Where a checkpoint comes from; no path, so that two exports give the same bytes.

    Attributes:
        name: as the user gave it: a hub id, a folder's name, or an embedded checkpoint's.
        revision: the commit on the hub.
        variant: the variant of its weights, such as `fp16`.
        license: the licence that its model card states.
        variants: by subfolder, the variant that was read there where it is another.
        config: where the configs and tokenizers of a single file come from.
        scheduler: the values that replace those of the scheduler's config.
        loras: the LoRAs that are added to the weights, in order.
        unet: where its UNet comes from, if from elsewhere.
        vae: where its VAE comes from, if from elsewhere.
        safety_checker: where its safety checker comes from, if from elsewhere.
    """

    name: str
    revision: str | None
    variant: str | None
    license: str | None
    variants: NotRequired[dict[str, str | None]]
    config: NotRequired[Provenance]
    scheduler: NotRequired[dict[str, str]]
    loras: NotRequired[list[LoraProvenance]]
    unet: NotRequired[Provenance]
    vae: NotRequired[Provenance]
    safety_checker: NotRequired[Provenance]
