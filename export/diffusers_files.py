"""The files that make a bundle a diffusers folder: `model_index.json`, and the configs of scheduler and components."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from turbo_webnn.models.bundle import describe
from turbo_webnn.models.chain import BundleFile
from turbo_webnn.models.component import Component
from turbo_webnn.models.json_file import read_json, write_json
from turbo_webnn.models.source import Source

_INDEX, _SCHEDULER = "model_index.json", "scheduler/scheduler_config.json"


def write_diffusers_files(source: Source, components: Sequence[Component], bundle: Path) -> tuple[BundleFile, ...]:
    """Write the checkpoint's files of this kind to `bundle`; return their entries in the manifest.

    The index names only components of the bundle. Others (a safety checker, a feature extractor) are null in it.

    Raises:
        RequestError: if the checkpoint lacks one of the files.
        OSError: if the files cannot be written.
    """
    return tuple(describe(bundle, path) for path in _write_files(source, components, bundle))


def _write_files(source: Source, components: Sequence[Component], bundle: Path) -> Iterator[Path]:
    exported = {"scheduler", *source.family.tokenizers, *(component.subfolder for component in components)}
    index = read_json(source.folder / _INDEX)
    for name, entry in index.items():
        if isinstance(entry, list) and name not in exported:
            index[name] = [None, None]
    yield _write(bundle / _INDEX, index)
    yield _write(bundle / _SCHEDULER, source.scheduler_config())
    for component in components:
        yield _write(bundle / component.name / "config.json", _config_for_pipeline(source, component))


def _config_for_pipeline(source: Source, component: Component) -> dict[str, Any]:
    """The component's config, without the statistics that its graph already applies."""
    return component.part.without_statistics(source.config(component))


def _write(path: Path, contents: object) -> Path:
    write_json(path, contents)
    return path
