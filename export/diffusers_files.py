"""What makes a bundle a diffusers folder: `model_index.json`, the scheduler's config, and each component's own."""

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
    """Write them to `bundle`, as the checkpoint has them; return their entries in the manifest.

    The index names what the bundle has: what it lacks (a safety checker, a feature extractor) is none there.

    Raises:
        RequestError: where the checkpoint lacks one.
        OSError: where they cannot be written.
    """
    return tuple(describe(bundle, path) for path in _written(source, components, bundle))


def _written(source: Source, components: Sequence[Component], bundle: Path) -> Iterator[Path]:
    held = {"scheduler", *source.family.tokenizers, *(component.subfolder for component in components)}
    index = read_json(source.folder / _INDEX)
    for name, entry in index.items():
        if isinstance(entry, list) and name not in held:
            index[name] = [None, None]
    yield _write(bundle / _INDEX, index)
    yield _write(bundle / _SCHEDULER, source.scheduler_config())
    for component in components:
        yield _write(bundle / component.name / "config.json", _config(source, component))


def _config(source: Source, component: Component) -> dict[str, Any]:
    """The component's config, without what its graph does and a pipeline would do once more."""
    return component.part.without_statistics(source.config(component))


def _write(path: Path, held: object) -> Path:
    write_json(path, held)
    return path
