"""Config values that diffusers' pipelines read beside their modules: without them a picture is another one.

Sources: StableDiffusionPipeline, StableDiffusionXLPipeline and their image-to-image sisters in diffusers 0.42.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.printable import printable
from turbo_webnn.models.schedulers.euler import EULER_SCHEDULERS
from turbo_webnn.models.schedulers.scheduler import Scheduler

_STABLE_DIFFUSION = "StableDiffusionPipeline"

_UNSERVED: Mapping[str, str] = {
    "requires_aesthetics_score": "its image-to-image pipeline tells the UNet a score in place of a size",
    "add_watermarker": "its pipeline changes every picture that it decodes",
}
"""Values of `model_index.json` that change pictures, and how."""


def require_served_index(model_index: Mapping[str, Any], classes: Mapping[str, str], where: str) -> None:
    """Refuse a pipeline whose own values change pictures in a way that no bundle repeats, or that has other parts.

    Args:
        model_index: the contents of `model_index.json`.
        classes: by folder, the class that is served.
        where: the path of the file, for messages.

    Raises:
        RequestError: names the value or the class.
    """
    for key, effect in _UNSERVED.items():
        if model_index.get(key):
            raise RequestError(f"{where} has {key} = true: {effect}", "give a checkpoint where it is false")
    for folder, served in classes.items():
        named = class_in(model_index, folder)
        if named not in (None, served):
            raise RequestError(f"{where} names {printable(str(named))} for {folder}", f"served is {served}")


def class_in(model_index: Mapping[str, Any], name: str) -> str | None:
    """The class that the pipeline loads from the folder `name`, whatever the config there says; None where unstated."""
    entry = model_index.get(name)
    return entry[1] if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], str) else None


def scheduler_config_in_use(
    model_index: Mapping[str, Any],
    config: Mapping[str, Any],
    where: str,
    schedulers: Sequence[Scheduler] = EULER_SCHEDULERS,
) -> dict[str, Any]:
    """`config` of a scheduler, read from `where`, with what the pipeline makes of it.

    StableDiffusionPipeline sets `steps_offset` to 1. One that is no number is left for the scheduler to refuse.

    Args:
        model_index: of the pipeline.
        config: of the scheduler.
        where: the path of `config`, for messages.
        schedulers: those that are served.

    Raises:
        RequestError: where `model_index` names another class, which the pipeline would load in silence.
    """
    named, stated = class_in(model_index, "scheduler"), config.get("_class_name")
    if named not in (None, stated) and stated in [scheduler.name for scheduler in schedulers]:
        raise RequestError(
            f"{where} is of {stated}, and model_index.json names {printable(str(named))}",
            "give a checkpoint where both name one class",
        )
    changed = dict(config)
    if model_index.get("_class_name") == _STABLE_DIFFUSION and isinstance(config.get("steps_offset", 0), int):
        changed["steps_offset"] = 1
    return changed


def native_latent_size(model_index: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[int, int] | None:
    """Rows and columns of latents that the pipeline draws where no size is named; None where the UNet states none.

    StableDiffusionPipeline takes a `sample_size` below 64 of diffusers before 0.9 as an error, and draws 64.
    """
    stated = config.get("sample_size")
    if stated is None or isinstance(stated, list):
        return None if stated is None else (stated[0], stated[1])
    release = re.match(r"(\d+)\.(\d+)", str(config.get("_diffusers_version", "")))
    old = release is not None and (int(release[1]), int(release[2])) < (0, 9)
    side = 64 if old and model_index.get("_class_name") == _STABLE_DIFFUSION and stated < 64 else stated
    return side, side
