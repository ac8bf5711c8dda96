"""The manifest of a bundle: everything that a consumer needs and cannot read from the graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypedDict

from msgspec import Meta

from turbo_webnn.models.bundle.agreement import first_misfit
from turbo_webnn.models.chain import BundleFile, Chain, Files
from turbo_webnn.models.component import Size
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import convert_json, json_bytes, read_json, require_same_keys
from turbo_webnn.models.precision import Precision
from turbo_webnn.models.printable import printable
from turbo_webnn.models.provenance import Provenance
from turbo_webnn.models.schedule import Positive, Schedule
from turbo_webnn.models.staging import folder_lock, write_whole
from turbo_webnn.models.wiring import Wiring

FORMAT = 2
"""Version of the manifest. A consumer refuses newer versions."""

MANIFEST = "manifest.json"

_ANEW = "export it anew"


class Image(TypedDict):
    """How pixels become the VAE's numbers and back, in words that say it all."""

    channels: str
    layout: str
    encode: str
    decode: str


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer's files, how a prompt is brought to its length, and the component that reads its ids."""

    files: Files
    length: Annotated[int, Meta(ge=1, le=4096)]
    pad_id: Annotated[int, Meta(ge=0)]
    text_encoder: str


@dataclass(frozen=True)
class Manifest:
    """Everything that a consumer of a bundle needs and cannot read from the graphs.

    Attributes:
        format: version of the manifest.
        family: `stable-diffusion` or `stable-diffusion-xl`.
        layout: the name of the one that the bundle is laid out in.
        precision: `fp32`, or one whose floats are 16 bits wide at every boundary.
        size: the one size that the bundle serves.
        source: the checkpoint that the bundle was made from.
        schedules: by number of steps.
        scaling_factor: the VAE's; the decoder takes latents divided by it, the encoder's are multiplied.
        scheduler: diffusers' class that the schedules come from.
        components: by name.
        tokenizers: by folder.
        conditions: inputs of the denoiser that are the same in every run, by name: one row of the batch each.
        wiring: which component does what, and what the denoiser reads.
        files: what else the layout has.
        image: how pixels become the VAE's numbers and back.

    Raises:
        ValueError: where a schedule has another number of steps than it is for, or a file is named twice.
    """

    family: str
    layout: str
    precision: Precision
    size: Size
    source: Provenance
    scaling_factor: Positive
    scheduler: str
    schedules: Annotated[dict[int, Schedule], Meta(min_length=1)]
    components: Annotated[dict[str, Chain], Meta(min_length=1)]
    tokenizers: dict[str, Tokenizer]
    conditions: dict[str, tuple[int | float, ...]]
    wiring: Wiring
    files: tuple[BundleFile, ...] = ()
    image: Image = field(
        default_factory=lambda: Image(
            channels="RGB",
            layout="NCHW",
            encode="pixel / 127.5 - 1",
            decode="round(255 * clamp(sample / 2 + 0.5, 0, 1))",
        )
    )
    format: int = FORMAT

    def __post_init__(self) -> None:
        for count, schedule in self.schedules.items():
            if len(schedule.steps) != count:
                raise ValueError(f"the schedule for {count} steps has {len(schedule.steps)}")
        paths = [file.path for file in self.named_files()]
        if len(set(paths)) != len(paths):
            raise ValueError("two entries name one file")

    def named_files(self) -> Iterator[BundleFile]:
        """Every file of the bundle, except the manifest itself and the report."""
        for chain in self.components.values():
            yield from chain.files
        for tokenizer in self.tokenizers.values():
            yield from tokenizer.files
        yield from self.files

    def to_json(self) -> dict[str, Any]:
        """The manifest as it is written to the file."""
        manifest_json = asdict(self)
        size = {
            **manifest_json["size"],
            "latent_height": self.size.latent_height,
            "latent_width": self.size.latent_width,
        }
        return {"format": manifest_json.pop("format"), **manifest_json, "size": size}


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of the bundle at `folder`.

    Raises:
        RequestError: if there is none, it has another format, lacks a field, has an unknown field or a wrong value,
            names a file outside the bundle, or describes components that do not fit each other.
    """
    path = folder / MANIFEST
    manifest_json = read_json(path)
    version = manifest_json.get("format")
    if version != FORMAT:
        newer = type(version) is int and version > FORMAT
        right = "update turbo-webnn" if newer else _ANEW
        raise RequestError(f"{path} has format {printable(repr(version), 40)}, this reads {FORMAT}", right)
    manifest = convert_json(manifest_json, Manifest, str(path), _ANEW)
    expected_json = manifest.to_json()
    require_same_keys(manifest_json, expected_json, str(path), _ANEW)
    if manifest_json["size"] != expected_json["size"]:
        raise RequestError(f"{path} has latents of another size than its pictures", _ANEW)
    misfit = first_misfit(manifest)
    if misfit is not None:
        raise RequestError(f"{path} does not agree with itself: {misfit}", _ANEW)
    return manifest


def update_manifest(folder: Path, change: Callable[[Manifest], Manifest]) -> None:
    """Read the manifest of the bundle at `folder`, apply `change` to it, and write the result.

    A lock keeps other updates out meanwhile, so that none is lost.

    Raises:
        RequestError: as `read_manifest`, `write_manifest` and `change`.
    """
    with folder_lock(folder.resolve()):
        write_manifest(folder, change(read_manifest(folder)))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest` into the bundle at `folder`, completely or not at all.

    Raises:
        RequestError: if it cannot be written.
    """
    try:
        write_whole({folder / MANIFEST: json_bytes(manifest.to_json())})
    except OSError as error:
        raise RequestError(f"{folder / MANIFEST} cannot be written ({error.strerror})", "free some space") from error
