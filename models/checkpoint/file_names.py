"""The names of the files that hold a component's weights in a diffusers folder: one file, or an index of shards."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import read_json


def whole_name(stem: str, variant: str | None) -> str:
    """The name of the file with all weights, where they are not in shards."""
    return f"{stem}.{variant}.safetensors" if variant else f"{stem}.safetensors"


def index_names(stem: str, variant: str | None) -> list[str]:
    """The possible names of an index of shards: the current one, and the older one of a variant."""
    names = [f"{whole_name(stem, variant)}.index.json"]
    return [f"{stem}.safetensors.index.{variant}.json", *names] if variant else names


def index_in(folder: Path, stem: str, variant: str | None) -> Path | None:
    """The path of the index of shards in `folder`; None where it has none."""
    paths = (folder / name for name in index_names(stem, variant))
    return next((path for path in paths if path.is_file()), None)


def shards_of(index: Path) -> dict[str, str]:
    """Read from `index` the shard of each tensor, by name.

    Raises:
        RequestError: where the file is not an index, or names a file outside its folder.
    """
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(shard, str) for shard in shards.values()):
        raise RequestError(f"{index} is not an index of shards", "copy or download it anew")
    for shard in shards.values():
        if Path(shard).name != shard or not shard.endswith(".safetensors"):
            raise RequestError(
                f"{index} names {shard!r}, which is no safetensors file beside it", "take a checkpoint you trust"
            )
    return shards


def missing_weights(where: str | Path, files: Iterable[str], stem: str, variant: str | None) -> RequestError:
    """Make the error for a folder whose `files` hold no weights of this name; it names the available ones."""
    wrong = f"{where} has no {whole_name(stem, variant)}"
    shard = r"(-\d{5}-of-\d{5})?"
    weights = re.compile(rf"{re.escape(stem)}{shard}(?:\.(?P<variant>[\w-]+?))?{shard}\.safetensors")
    files = sorted(files)
    variants = sorted({match["variant"] or "" for name in files if (match := weights.fullmatch(name))})
    if variants and variant not in variants:
        served = [f"with --variant {name}" if name else "without --variant" for name in variants]
        return RequestError(wrong, f"it has weights {' or '.join(served)}")
    if any(name.endswith((".bin", ".ckpt", ".pt", ".pth")) for name in files):
        return RequestError(
            f"{where} holds its weights as a pickle, which runs code when it is read",
            "save them as safetensors: pipe.save_pretrained(FOLDER, safe_serialization=True)",
        )
    return RequestError(wrong, "give a complete diffusers folder")
