"""The files of a repository that an export reads: first the small ones, then the weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from turbo_webnn.models.checkpoint.file_names import (
    index_in,
    index_names,
    missing_weights,
    shards_of,
    whole_name,
)
from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.hub import Snapshot
from turbo_webnn.models.model_card import CARD, MAX_CARD_BYTES

PIPELINE_INDEX = "model_index.json"
"""The file that every folder of a diffusers pipeline has."""

PART_CONFIG = "config.json"
"""The file that every folder of a component has."""

SCHEDULER_CONFIG = "scheduler/scheduler_config.json"

MAX_SMALL_BYTES = 1 << 25
"""The largest size of a config, index or tokenizer file; those of published models have up to 4 MB."""

_TOKENIZER_FILES = (
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)


def pipeline_files(family: Family) -> list[str]:
    """The files of a pipeline that an export reads, without its components."""
    tokenizers = [f"{tokenizer}/{name}" for tokenizer in family.tokenizers for name in _TOKENIZER_FILES]
    return [PIPELINE_INDEX, SCHEDULER_CONFIG, *tokenizers]


def component_files(component: Component, variant: str | None) -> list[str]:
    """The files of a component that an export reads before the weights."""
    names = (PART_CONFIG, *index_names(component.weights_stem, variant))
    return [PurePosixPath(component.subfolder, name).as_posix() for name in names]


def fetch_small(snapshot: Snapshot, files: Iterable[str]) -> None:
    """Fetch the existing ones of `files`, and the model card of the repository.

    Raises:
        RequestError: as `Snapshot.fetch`, or where a file is too large for its kind.
    """
    listing = snapshot.listing
    small = sorted({file for file in files if file in listing})
    for file in small:
        if listing[file].bytes > MAX_SMALL_BYTES:
            raise RequestError(
                f"{file} of {snapshot.repo} has {listing[file].bytes / 1e6:.1f} MB", "give a diffusers pipeline"
            )
    card = [CARD] if CARD in listing and listing[CARD].bytes <= MAX_CARD_BYTES else []
    snapshot.fetch([*small, *card])


def weights_of(snapshot: Snapshot, component: Component, variant: str | None) -> list[str]:
    """The files with the component's weights in `variant`: one whole file, or the shards.

    Raises:
        RequestError: where the repository has no such weights, or only a pickle.
    """
    folder = PurePosixPath(component.subfolder)
    whole_file = (folder / whole_name(component.weights_stem, variant)).as_posix()
    index = index_in(snapshot.folder / folder, component.weights_stem, variant)
    if whole_file in snapshot.listing:
        return [whole_file]
    if index is None:
        names = snapshot.names_in(component.subfolder)
        raise missing_weights(
            (PurePosixPath(snapshot.repo) / folder).as_posix(), names, component.weights_stem, variant
        )
    shards = [(folder / name).as_posix() for name in sorted({*shards_of(index).values()})]
    for shard in shards:
        if shard not in snapshot.listing:
            raise RequestError(
                f"{snapshot.repo} has no {shard}, which its index names", "give a revision that is complete"
            )
    return shards
