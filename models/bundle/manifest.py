"""The manifest of a bundle: everything that a consumer needs and cannot read from the graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.chain import BundleFile, Chain, files_of
from models.component import Size
from models.errors import RequestError
from models.json_file import json_bytes, read_json
from models.precision import PRECISIONS, Precision
from models.schedule import Schedule, Step
from models.staging import folder_lock, write_whole

FORMAT = 1
"""Version of the manifest; a consumer refuses a newer one."""

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer's files, how a prompt is brought to its length, and the component that reads its ids."""

    files: tuple[BundleFile, ...]
    length: int
    pad_id: int
    text_encoder: str


@dataclass(frozen=True)
class Manifest:
    """Everything that a consumer of a bundle needs and cannot read from the graphs.

    Attributes:
        source: name, revision, variant and licence of the checkpoint; under `vae` those of another's VAE, if any.
        schedules: by number of steps.
        scaling_factor: the VAE's; the decoder takes latents divided by it, the encoder's mean is multiplied.
        conditions: inputs of the UNet that are the same in every run, by name: one row of the batch each.
        files: what else the layout has.
        image: how pixels become the VAE's numbers and back.
    """

    family: str
    layout: str
    precision: Precision
    size: Size
    source: dict[str, Any]
    scaling_factor: float
    scheduler: str
    schedules: dict[int, Schedule]
    components: dict[str, Chain]
    tokenizers: dict[str, Tokenizer]
    conditions: dict[str, tuple[float, ...]]
    files: tuple[BundleFile, ...] = ()
    vae_encoder_output: str = "mean"
    image: dict[str, Any] = field(
        default_factory=lambda: {
            "channels": "RGB",
            "layout": "NCHW",
            "encode": "pixel / 127.5 - 1",
            "decode": "round(255 * clamp(sample / 2 + 0.5, 0, 1))",
        }
    )
    format: int = FORMAT

    def named_files(self) -> Iterator[BundleFile]:
        """Every file of the bundle but the manifest itself and its report."""
        for chain in self.components.values():
            yield from chain.files
        for tokenizer in self.tokenizers.values():
            yield from tokenizer.files
        yield from self.files

    def to_json(self) -> dict[str, Any]:
        """The manifest as it is written."""
        held = asdict(self)
        size = {
            **held["size"],
            "latent_height": self.size.latent_height,
            "latent_width": self.size.latent_width,
        }
        return {"format": held.pop("format"), **held, "size": size}

    @classmethod
    def from_json(cls, held: Mapping[str, Any], where: Path) -> Manifest:
        """Read a manifest.

        Raises:
            RequestError: where it is of a newer format, lacks a field, or names a file outside the bundle.
        """
        version = held.get("format")
        if version != FORMAT:
            right = "update turbo-webnn" if isinstance(version, int) and version > FORMAT else "export it anew"
            raise RequestError(f"{where} has format {version!r}, this reads {FORMAT}", right)
        try:
            return _manifest(held)
        except KeyError as error:
            raise RequestError(f"{where} lacks {error}", "export it anew") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise RequestError(f"{where} is not a bundle's manifest ({error})", "export it anew") from error


def _manifest(held: Mapping[str, Any]) -> Manifest:
    size = held["size"]
    return Manifest(
        **{key: held[key] for key in ("family", "layout", "source", "scaling_factor", "scheduler")},
        **{key: held[key] for key in ("vae_encoder_output", "image")},
        precision=_precision(held["precision"]),
        size=Size(size["batch"], size["height"], size["width"]),
        schedules={
            int(count): Schedule(plan["init_noise_sigma"], tuple(Step(**step) for step in plan["steps"]))
            for count, plan in held["schedules"].items()
        },
        components={name: Chain.from_json(chain) for name, chain in held["components"].items()},
        tokenizers={
            name: Tokenizer(**{**tokenizer, "files": files_of(tokenizer["files"])})
            for name, tokenizer in held["tokenizers"].items()
        },
        conditions={name: tuple(map(float, row)) for name, row in held["conditions"].items()},
        files=tuple(BundleFile(**file) for file in held["files"]),
    )


def _precision(held: Any) -> Precision:
    if held not in PRECISIONS:
        raise ValueError(f"there is no precision {held!r}")
    return held  # type: ignore[no-any-return]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the bundle at `folder`.

    Raises:
        RequestError: where there is none, or as `Manifest.from_json`.
    """
    return Manifest.from_json(read_json(folder / MANIFEST), folder / MANIFEST)


def update_manifest(folder: Path, change: Callable[[Manifest], Manifest]) -> None:
    """Write what `change` makes of the manifest of the bundle at `folder`, as it is now.

    No other update comes in between, so that none is lost.

    Raises:
        RequestError: as `read_manifest`, `write_manifest` and `change` raise it.
    """
    with folder_lock(folder.resolve()):
        write_manifest(folder, change(read_manifest(folder)))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest` into the bundle at `folder`, whole or not at all.

    Raises:
        RequestError: where it cannot be written.
    """
    try:
        write_whole({folder / MANIFEST: json_bytes(manifest.to_json())})
    except OSError as error:
        raise RequestError(f"{folder / MANIFEST} cannot be written ({error.strerror})", "free some space") from error
