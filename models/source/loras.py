"""Open a LoRA: a file, a folder or a hub repository with one file, or a file on the hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.hub import Hub
from turbo_webnn.models.loras import Lora, require_lora
from turbo_webnn.models.source.fetching import Fetch
from turbo_webnn.models.source.locating import SAFETENSORS, Place, locate
from turbo_webnn.models.source.weights_files import hub_file, local_file, snapshot_with_card

USUAL_FILE = "pytorch_lora_weights.safetensors"
"""The name of the file that diffusers' `save_lora_weights` writes."""


def open_lora(hub: Hub, given: str) -> tuple[Lora, Sequence[Fetch]]:
    """Open the LoRA `given`: FILE or ID, with `:WEIGHT` behind it or not.

    Returns:
        The LoRA, and the files to fetch.

    Raises:
        RequestError: where there is no such file, the weight is no number, or the file is no LoRA that is served.
    """
    source, weight = _split_weight(given)
    place = locate(source, "a folder with a LoRA")
    if place.path is not None:
        file = local_file(place.path if place.is_file else place.path / _only_file(place, _names(place.path)))
    else:
        snapshot = snapshot_with_card(hub, str(place.repo))
        file = hub_file(snapshot, place.file or _only_file(place, snapshot.names_in("")))
    if file.header is not None:
        require_lora(file.header.tensors, place.name)
    return Lora(place.name, file.path, weight, file.revision, file.license), file.fetches


def _split_weight(given: str) -> tuple[str, float]:
    """The source and the weight in FILE_OR_ID[:WEIGHT]; 1 without a weight."""
    source, separator, text = given.rpartition(":")
    if not separator or Path(given).exists():
        return given, 1.0
    try:
        return source, float(text)
    except ValueError:
        raise RequestError(f"--lora {given} has the weight {text!r}", "give a number, as FILE:0.8") from None


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file()]


def _only_file(place: Place, names: list[str]) -> str:
    """The LoRA among the files `names`: the usual one, or the only one."""
    files = sorted(name for name in names if name.endswith(SAFETENSORS))
    if USUAL_FILE in files:
        return USUAL_FILE
    if len(files) != 1:
        listed = f"{len(files)} {SAFETENSORS} files ({', '.join(files[:4])}{', …' * (len(files) > 4)})"
        raise RequestError(f"{place.name} has {listed if files else f'no {SAFETENSORS} file'}", "name one of them")
    return files[0]
