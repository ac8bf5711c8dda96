"""What is fetched from the hub, and nothing else: huggingface_hub does the work and keeps the cache.

`HF_ENDPOINT`, `HF_HOME`, `HF_HUB_OFFLINE`, `HF_TOKEN` and a stored login work as users know them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub as hf
from huggingface_hub import errors as hf_errors
from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

from models.errors import RequestError
from models.family import FAMILIES, family_of
from models.json_file import read_json

_SMALL_FILES = ("model_index.json", "README.md", "scheduler/scheduler_config.json")
_TOKENIZER_FILES = (
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)


def is_repo_id(source: str) -> bool:
    """Whether `source` has the form OWNER/NAME of a hub id."""
    return bool(re.fullmatch(r"[\w][\w.-]*/[\w][\w.-]*", source))


def fetch(
    repo: str, *, revision: str | None, variant: str | None, components: Sequence[str], progress: bool
) -> tuple[Path, str]:
    """Fetch what an export of `repo` reads; return the snapshot's folder and its commit.

    Only one variant's safetensors travel: never pickles, never a second precision, never other frameworks'.

    Raises:
        RequestError: where the repository, the revision or the hub is out of reach, or access is refused.
    """
    with _told(repo, revision), _progress(shown=progress):
        small = [*_SMALL_FILES, *_patterns_of_all_families()]
        folder = Path(hf.snapshot_download(repo, revision=revision, allow_patterns=small))
        if not (folder / "model_index.json").is_file():
            raise RequestError(f"{repo} has no model_index.json", "give the id of a diffusers pipeline")
        weights = _weight_patterns(folder, variant, components)
        folder = Path(hf.snapshot_download(repo, revision=folder.name, allow_patterns=[*small, *weights]))
    return folder, folder.name


def license_of(folder: Path) -> str | None:
    """The licence that the model card in `folder` states, by name where it has one, or None."""
    card = folder / "README.md"
    if not card.is_file():
        return None
    try:
        data = hf.ModelCard.load(card, ignore_metadata_errors=True).data
    except (ValueError, OSError):
        return None
    stated = data.get("license_name") or data.get("license")
    return None if stated is None else str(stated)


def _patterns_of_all_families() -> list[str]:
    """Configs, shard indexes and tokenizers: small files, whose need is not known before they are read."""
    patterns = set()
    for family in FAMILIES:
        for component in family.components:
            patterns |= {f"{component.subfolder}/config.json", f"{component.subfolder}/*.index*.json"}
        patterns |= {f"{tokenizer}/{file}" for tokenizer in family.tokenizers for file in _TOKENIZER_FILES}
    return sorted(patterns)


def _weight_patterns(folder: Path, variant: str | None, components: Sequence[str]) -> list[str]:
    family = family_of(read_json(folder / "model_index.json"), str(folder))
    wanted = [family.component(name) for name in components] or family.components
    suffix = f".{variant}" if variant else ""
    shard = "-[0-9][0-9][0-9][0-9][0-9]-of-[0-9][0-9][0-9][0-9][0-9]"
    stems = sorted({f"{component.subfolder}/{component.weights_stem}" for component in wanted})
    return [
        pattern
        for stem in stems
        for pattern in (
            f"{stem}{suffix}.safetensors",
            f"{stem}{suffix}{shard}.safetensors",  # as diffusers names shards
            f"{stem}{shard}{suffix}.safetensors",  # as transformers does
        )
    ]


@contextmanager
def _progress(*, shown: bool) -> Iterator[None]:
    if shown:
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


@contextmanager
def _told(repo: str, revision: str | None) -> Iterator[None]:
    """Turn the hub's errors into one line each."""
    try:
        yield
    except hf_errors.GatedRepoError as error:
        raise RequestError(f"{repo} is gated", "accept its licence on its page, then run: hf auth login") from error
    except hf_errors.RevisionNotFoundError as error:
        raise RequestError(f"{repo} has no revision {revision!r}", "give a branch, a tag or a commit") from error
    except hf_errors.RepositoryNotFoundError as error:
        raise RequestError(
            f"the hub has no {repo}, or it is private", "check the id; for a private one run: hf auth login"
        ) from error
    except hf_errors.LocalEntryNotFoundError as error:
        raise RequestError(
            f"{repo} is not in the cache and the hub is out of reach",
            "check the network, HF_ENDPOINT and HF_HUB_OFFLINE",
        ) from error
    except (hf_errors.HfHubHTTPError, OSError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RequestError(f"fetching {repo} failed: {first}", "try again; what has arrived is kept") from error
