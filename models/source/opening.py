"""Open a source: fetch and check its configs first, then the headers of its weights, then fetch the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.hub import Hub
from turbo_webnn.models.source.fetching import Fetch, fetch_all, with_headers
from turbo_webnn.models.source.folders import open_folder
from turbo_webnn.models.source.locating import locate
from turbo_webnn.models.source.loras import open_lora
from turbo_webnn.models.source.parts import open_part
from turbo_webnn.models.source.repositories import open_repository
from turbo_webnn.models.source.single_files import open_single_file
from turbo_webnn.models.source.source import ELSEWHERE, Source

Judge = Callable[[Source], object]
"""Checks a source; raises RequestError where the source cannot serve the request."""


def open_source(
    source: str,
    *,
    variant: str | None = None,
    revision: str | None = None,
    config: str | None = None,
    parts: Mapping[str, str] = MappingProxyType({}),
    loras: Sequence[str] = (),
    scheduler: str | None = None,
    timestep_spacing: str | None = None,
    components: Sequence[str] = (),
    fed: bool = False,
    judge: Judge = lambda _source: None,
    judge_headers: Judge | None = None,
    notice: Callable[[str], object] = lambda _line: None,
    progress: bool = True,
) -> Source:
    """Open SOURCE: an embedded checkpoint's name, a diffusers folder, a `.safetensors` file, or a place on the hub.

    An existing folder or file takes precedence over a hub id of the same name. Only the files that an export reads
    are fetched from the hub, into the user's cache. Errors that the configs or the headers of the weights show are
    raised before weights are fetched.

    Args:
        source: an embedded checkpoint's name, a diffusers folder, a `.safetensors` file, OWNER/NAME on the hub, or
            OWNER/NAME/FILE.safetensors.
        variant: the variant of the weights, such as `fp16`; None for the main weights.
        revision: a branch, tag or commit on the hub.
        config: the source of the configs and tokenizers of a single file: a folder or a hub id. The default is the
            published pipeline of the family that the names of the file's tensors show.
        parts: by subfolder ("unet", "vae", "safety_checker") other sources. Their components take the place of
            SOURCE's.
        loras: LoRAs that are added to the weights: a file or a place on the hub, with `:WEIGHT` behind it or not.
        scheduler: the class of diffusers that replaces the one that the scheduler's config names.
        timestep_spacing: the value that replaces the one in the scheduler's config.
        components: names of the components to fetch; all where empty.
        fed: whether to fetch the components that produce the inputs of `components` too.
        judge: called after the configs are read and before weights are fetched; raises RequestError to refuse.
        judge_headers: called before weights are fetched with a source whose `remote` has their headers; None to fetch
            no headers first.
        notice: receives a line about what is fetched, and about the configs of a single file.
        progress: whether huggingface_hub shows its progress bars.

    Raises:
        RequestError: where there is no such source, it is of another kind, or a judge refuses it.
    """
    with Hub(progress=progress) as hub:
        replaced = frozenset(parts)
        opened, fetches = _open_main(hub, source, variant, revision, config, components, fed=fed, replaced=replaced)
        if opened.config_source is not None and config is None:
            notice(f"the configs of {opened.name} are those of {opened.config_source.name}; --config takes others")
        for subfolder, other in parts.items():
            part, part_fetches = open_part(hub, other, subfolder, opened)
            opened = replace(opened, parts={**opened.parts, subfolder: part})
            fetches = [*fetches, *part_fetches]
        for given in loras:
            lora, lora_fetches = open_lora(hub, given)
            opened = replace(opened, loras=(*opened.loras, lora))
            fetches = [*fetches, *lora_fetches]
        opened = replace(opened, scheduler=_scheduler_values(scheduler, timestep_spacing))
        if fetches:
            opened.require_served(opened.family.chosen(components, fed=fed))
        judge(opened)
        if judge_headers is not None:
            remote = with_headers(opened, fetches)
            if remote is not None:
                judge_headers(remote)
        fetch_all(fetches, notice)
    return opened


def replace_parts(source: Source, parts: Mapping[str, str], *, progress: bool = True) -> Source:
    """`source` with the components of other sources, as `open_source` opens them.

    Raises:
        RequestError: where there is no such source, it has no such component, or the component is not supported.
    """
    pipeline = replace(source, parts={**source.parts, **dict.fromkeys(parts, ELSEWHERE)})
    with Hub(progress=progress) as hub:
        opened = [open_part(hub, other, subfolder, pipeline) for subfolder, other in parts.items()]
        fetch_all([fetch for _, fetches in opened for fetch in fetches], lambda _line: None)
    part_sources = {subfolder: part for subfolder, (part, _) in zip(parts, opened, strict=True)}
    return replace(source, parts={**source.parts, **part_sources})


def _open_main(
    hub: Hub,
    source: str,
    variant: str | None,
    revision: str | None,
    config: str | None,
    components: Sequence[str],
    *,
    fed: bool,
    replaced: frozenset[str],
) -> tuple[Source, Sequence[Fetch]]:
    """Open SOURCE without its LoRAs, and with `ELSEWHERE` for the parts that are replaced."""
    place = locate(source)
    if place.repo is None and revision is not None:
        noun = "single file" if place.is_file else "folder"
        raise RequestError(f"{source} is a {noun} and has no revisions", "drop --revision, or give a hub id")
    if place.is_file:
        if variant is not None:
            raise RequestError(f"{place.name} is a single file and has no variants", "drop --variant")
        return open_single_file(hub, place, revision, config, replaced=replaced)
    if config is not None:
        raise RequestError(f"{place.name} has configs of its own", "drop --config: it is for a single file")
    if place.path is not None:
        return open_folder(place.name, place.path, variant, components, fed=fed, replaced=replaced), []
    return open_repository(hub, str(place.repo), revision, variant, components, fed=fed, replaced=replaced)


def _scheduler_values(scheduler: str | None, timestep_spacing: str | None) -> dict[str, str]:
    values = {"_class_name": scheduler, "timestep_spacing": timestep_spacing}
    return {key: value for key, value in values.items() if value is not None}
