"""What is fetched from the hub, and nothing else: huggingface_hub does the work and keeps the cache.

`HF_ENDPOINT`, `HF_HOME`, `HF_HUB_OFFLINE`, `HF_TOKEN` and a stored login work as users know them.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path, PurePosixPath

import huggingface_hub as hf
import yaml
from huggingface_hub import errors as hf_errors
from huggingface_hub.utils import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
    validate_repo_id,
)

from models.checkpoint import index_in, index_names, missing_weights, shards_of, whole_name
from models.component import Component
from models.errors import RequestError
from models.family import FAMILIES, family_of
from models.json_file import read_json

_PIPELINE_FILES = ("model_index.json", "README.md", "scheduler/scheduler_config.json")
_TOKENIZER_FILES = (
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)


def is_repo_id(source: str) -> bool:
    """Whether `source` has the form OWNER/NAME of a hub id."""
    try:
        validate_repo_id(source)
    except hf_errors.HFValidationError:
        return False
    return "/" in source


def fetch(
    repo: str,
    *,
    revision: str | None,
    variant: str | None,
    components: Sequence[str],
    fed: bool,
    without: frozenset[str],
    progress: bool,
) -> tuple[Path, str]:
    """Fetch what an export of `repo` reads; return the snapshot's folder and its commit.

    Only one variant's safetensors travel: never pickles, never a second precision, never other frameworks'. Where
    `fed`, also the weights of components that feed those asked for; none from the subfolders `without`. What the
    repository does not hold is told before any weights travel.

    Raises:
        RequestError: where the repository, the revision or the hub is out of reach, access is refused, or the
            weights are not there as safetensors.
    """
    with _told(repo, revision), _progress(shown=progress):
        folder = Path(hf.snapshot_download(repo, revision=revision, allow_patterns=_small_files(variant, components)))
        if not (folder / "model_index.json").is_file():
            raise RequestError(f"{repo} has no model_index.json", "give the id of a diffusers pipeline")
        family = family_of(read_json(folder / "model_index.json"), repo)
        wanted = [part for part in family.chosen(components, fed=fed) if part.subfolder not in without]
        _fetch_weights(repo, folder, wanted, variant)
    return folder, folder.name


def fetch_part(repo: str, component: Component, *, progress: bool) -> tuple[Path, str]:
    """Fetch `component` of `repo`, a pipeline's or one alone; return the snapshot's folder and its commit.

    Raises:
        RequestError: as `fetch`, or where `repo` has no such component.
    """
    names = ("config.json", *index_names(component.weights_stem, None))
    small = ["README.md", *names, *(f"{component.subfolder}/{name}" for name in names)]
    with _told(repo, None), _progress(shown=progress):
        folder = Path(hf.snapshot_download(repo, allow_patterns=small))
        alone = part_folder(folder, repo, component) == folder
        _fetch_weights(repo, folder, [replace(component, subfolder="") if alone else component], None)
    return folder, folder.name


def part_folder(folder: Path, source: str, component: Component) -> Path:
    """Where in `folder` the config and weights of `component` lie: in a pipeline's folder of it, or right there.

    Raises:
        RequestError: where there is none.
    """
    for place in (folder / component.subfolder, folder):
        if (place / "config.json").is_file():
            return place
    raise RequestError(
        f"{source} has no {component.module}: neither {component.subfolder}/config.json nor config.json",
        f"give a diffusers folder, the folder of a {component.module}, or a hub id of either",
    )


def _fetch_weights(repo: str, folder: Path, wanted: Iterable[Component], variant: str | None) -> None:
    needed = {file: component for component in wanted for file in _weights(folder, component, variant)}
    absent = [file for file in needed if not (folder / file).is_file()]
    if not absent:
        return
    held = set(hf.HfApi().list_repo_files(repo, revision=folder.name))
    for file in absent:
        if file not in held:
            raise _not_held(repo, held, file, needed[file], variant)
    hf.snapshot_download(repo, revision=folder.name, allow_patterns=[glob.escape(file) for file in absent])


def license_of(folder: Path) -> str | None:
    """The licence that the model card in `folder` states, by name where it has one, or None."""
    card = folder / "README.md"
    if not card.is_file():
        return None
    try:
        data = hf.metadata_load(card) or {}
    except (OSError, ValueError, yaml.YAMLError):
        return None
    stated = data.get("license_name") or data.get("license") or []
    return ", ".join(map(str, stated if isinstance(stated, list) else [stated])) or None


def _small_files(variant: str | None, asked: Sequence[str]) -> list[str]:
    """Configs, shard indexes and tokenizers of every family: their need is not known before they are read."""
    files = {*_PIPELINE_FILES}
    for family in FAMILIES:
        for component in (*family.components, *(part for part in family.optional if part.name in asked)):
            names = ("config.json", *index_names(component.weights_stem, variant))
            files |= {f"{component.subfolder}/{name}" for name in names}
        files |= {f"{tokenizer}/{name}" for tokenizer in family.tokenizers for name in _TOKENIZER_FILES}
    return sorted(glob.escape(file) for file in files)


def _weights(folder: Path, component: Component, variant: str | None) -> list[str]:
    """The files that hold the component's weights: the shards that an index names, else the one whole file."""
    index = index_in(folder / component.subfolder, component.weights_stem, variant)
    names = {whole_name(component.weights_stem, variant)} if index is None else {*shards_of(index).values()}
    return [PurePosixPath(component.subfolder, name).as_posix() for name in sorted(names)]


def _not_held(repo: str, held: set[str], file: str, component: Component, variant: str | None) -> RequestError:
    if Path(file).name != whole_name(component.weights_stem, variant):
        return RequestError(f"{repo} has no {file}, which its index names", "give a revision that is complete")
    where = PurePosixPath(component.subfolder)
    names = [PurePosixPath(path).name for path in held if PurePosixPath(path).parent == where]
    return missing_weights((PurePosixPath(repo) / where).as_posix(), names, component.weights_stem, variant)


@contextmanager
def _progress(*, shown: bool) -> Iterator[None]:
    if shown or are_progress_bars_disabled():
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
            f"there is no folder {repo}, and the hub has no model of that id or keeps it private",
            "check the name; for a private one set HF_TOKEN or run: hf auth login",
        ) from error
    except hf_errors.LocalEntryNotFoundError as error:
        raise _out_of_reach(repo) from error
    except hf_errors.OfflineModeIsEnabled as error:
        raise _out_of_reach(repo) from error
    except hf_errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise RequestError(
                f"the hub refuses {repo} to this user ({status})", "check HF_TOKEN, or run: hf auth login"
            ) from error
        raise _interrupted(repo, f"the hub answers {status}") from error
    except (hf_errors.HTTPError, OSError) as error:
        raise _interrupted(repo, str(error).strip() or type(error).__name__) from error
    except ValueError as error:
        raise RequestError(f"fetching {repo} failed: the answer is not a hub's", "check HF_ENDPOINT") from error


def _out_of_reach(repo: str) -> RequestError:
    return RequestError(
        f"{repo} is no folder, not whole in the cache, and the hub is out of reach",
        "check the name, the network, HF_ENDPOINT and HF_HUB_OFFLINE",
    )


def _interrupted(repo: str, why: str) -> RequestError:
    return RequestError(f"fetching {repo} failed ({why})", "try again: files that arrived whole are kept")
