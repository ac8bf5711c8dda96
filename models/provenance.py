"""The origin of a checkpoint, as a bundle's manifest and a verification state it."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Provenance(TypedDict):
    """Where a checkpoint comes from; no path, so that two exports give the same bytes.

    Attributes:
        name: as the user gave it: a hub id, a folder's name, or an embedded checkpoint's.
        revision: the commit on the hub.
        variant: the variant of its weights, such as `fp16`.
        license: the licence that its model card states.
        variants: by subfolder, the variant that was read there where it is another.
        vae: where its VAE comes from, if from elsewhere.
        safety_checker: where its safety checker comes from, if from elsewhere.
    """

    name: str
    revision: str | None
    variant: str | None
    license: str | None
    variants: NotRequired[dict[str, str | None]]
    vae: NotRequired[Provenance]
    safety_checker: NotRequired[Provenance]
