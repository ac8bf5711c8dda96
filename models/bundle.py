"""The bundle: static graphs in a folder, and the manifest that says all a consumer needs to know."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.chain import BundleFile, Chain, Graph, files_of
from models.component import Size
from models.errors import RequestError
from models.family import Family, family_named
from models.json_file import read_json, write_json
from models.precision import PRECISIONS, Precision
from models.schedule import Schedule, Step

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


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: str | Path) -> Bundle:
        """Read the bundle in `folder`; files are looked for, not read.

        Raises:
            RequestError: where there is no bundle, or a file that the manifest names is missing or of another size.
        """
        folder = Path(folder)
        if not (folder / MANIFEST).is_file():
            raise RequestError(f"{folder} is not a bundle: it has no {MANIFEST}", "make one: turbo-webnn export")
        bundle = cls(folder, Manifest.from_json(read_json(folder / MANIFEST), folder / MANIFEST))
        for file in bundle.files():
            path = folder / file.path
            if not path.is_file():
                raise RequestError(f"{path} is missing", "copy the bundle whole, or export it anew")
            if path.stat().st_size != file.bytes:
                raise RequestError(
                    f"{path} has {path.stat().st_size} bytes, the manifest says {file.bytes}",
                    "copy the bundle whole, or export it anew",
                )
        return bundle

    @property
    def family(self) -> Family:
        """The family of its pipeline; RequestError where this version knows none of that name."""
        return family_named(self.manifest.family, str(self.folder))

    def files(self) -> Iterator[BundleFile]:
        """Every file that the manifest names."""
        for chain in self.manifest.components.values():
            yield from chain.files
        for tokenizer in self.manifest.tokenizers.values():
            yield from tokenizer.files
        yield from self.manifest.files

    def chain(self, component: str) -> Chain:
        """The component's entry; RequestError where the bundle has none."""
        chain = self.manifest.components.get(component)
        if chain is None:
            held = ", ".join(self.manifest.components)
            raise RequestError(
                f"{self.folder} has no {component}", f"it has {held}: export with --component {component}"
            )
        return chain

    def path(self, graph: Graph) -> Path:
        """The graph's .onnx file."""
        return self.folder / graph.path

    def require_intact(self) -> None:
        """Read every file and compare its sha256; RequestError names the first that differs."""
        for file in self.files():
            if describe(self.folder, self.folder / file.path).sha256 != file.sha256:
                raise RequestError(
                    f"{self.folder / file.path} does not match its sha256 in the manifest",
                    "copy the bundle whole, or export it anew",
                )


def describe(folder: Path, path: Path) -> BundleFile:
    """The entry of the file at `path` in the bundle at `folder`."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return BundleFile(path.relative_to(folder).as_posix(), path.stat().st_size, digest)


@contextmanager
def staged(destination: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder beside `destination` that takes its place when the block ends well, and is gone when it does not.

    Whoever looks at `destination` sees the old contents whole, or the new.

    Raises:
        RequestError: where `destination` exists and `overwrite` is false, or is something else than a folder
            that this project wrote, or cannot be written.
    """
    if destination.exists():
        if not overwrite:
            raise RequestError(f"{destination} exists", "give --overwrite, or another place")
        if not any((destination / mark).is_file() for mark in (MANIFEST, "model_index.json")):
            raise RequestError(f"{destination} exists and is not ours to replace", "give another place")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{destination.name}-", dir=destination.parent))
    except OSError as error:
        raise RequestError(f"{destination} cannot be written ({error.strerror})", "give another place") from error
    try:
        stage.chmod(0o755)  # mkdtemp's 0700 is for secrets
        yield stage
        _replace(stage, destination)
    except OSError as error:
        raise RequestError(
            f"writing {destination} failed ({error.strerror or error})",
            "free some space or give another place",
        ) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _replace(stage: Path, destination: Path) -> None:
    """Put `stage` where `destination` is. A folder cannot be exchanged in one step everywhere, so the old one
    steps aside first and comes back if the new one cannot take its place."""
    if not destination.exists():
        stage.rename(destination)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{destination.name}-old-", dir=destination.parent))
    old = aside / "old"
    try:
        destination.rename(old)
        stage.rename(destination)
    finally:
        if old.exists() and not destination.exists():
            old.rename(destination)
        shutil.rmtree(aside, ignore_errors=True)  # not reached where the old one could not come back


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest` into the bundle at `folder`, whole or not at all.

    Raises:
        RequestError: where it cannot be written.
    """
    stage = folder / f".{MANIFEST}.new"
    try:
        write_json(stage, manifest.to_json())
        stage.replace(folder / MANIFEST)
    except OSError as error:
        stage.unlink(missing_ok=True)
        raise RequestError(f"{folder / MANIFEST} cannot be written ({error.strerror})", "free some space") from error
