"""Config values that diffusers' pipelines read in addition to those of their modules. They change the pictures.

Sources: StableDiffusionPipeline, StableDiffusionXLPipeline and their image-to-image pipelines in diffusers 0.42.
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
    """Refuse a pipeline whose values change pictures in a way that bundles cannot, or with other module classes.

    Args:
        model_index: the contents of `model_index.json`.
        classes: the class that is served, by folder.
        where: the path of the file, for messages.

    Raises:
        RequestError: names the value or the class.
    """
    for key, effect in _UNSERVED.items():
        if model_index.get(key):
            raise RequestError(f"{where} has {key} = true: {effect}", "give a checkpoint where it is false")
    for folder, served_class in classes.items():
        index_class = class_in(model_index, folder)
        if index_class not in (None, served_class):
            raise RequestError(f"{where} names {printable(str(index_class))} for {folder}", f"served is {served_class}")


def class_in(model_index: Mapping[str, Any], name: str) -> str | None:
    """The class that `model_index.json` names for the folder `name`; None if it names none.

    The pipeline loads this class, even if the config in the folder names another one.
    """
    entry = model_index.get(name)
    return entry[1] if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], str) else None


def scheduler_config_in_use(
    model_index: Mapping[str, Any],
    config: Mapping[str, Any],
    where: str,
    schedulers: Sequence[Scheduler] = EULER_SCHEDULERS,
) -> dict[str, Any]:
    """The config of a scheduler as the pipeline uses it.

    StableDiffusionPipeline sets `steps_offset` to 1. A `steps_offset` that is no number is not changed: the scheduler
    refuses it.

    Args:
        model_index: the contents of `model_index.json`.
        config: the scheduler's config as the checkpoint has it.
        where: the path of `config`, for messages.
        schedulers: the schedulers that are served.

    Raises:
        RequestError: if `model_index` names another class, which the pipeline would load without a warning.
    """
    index_class, config_class = class_in(model_index, "scheduler"), config.get("_class_name")
    if index_class not in (None, config_class) and config_class in [scheduler.name for scheduler in schedulers]:
        raise RequestError(
            f"{where} is of {config_class}, and model_index.json names {printable(str(index_class))}",
            "give a checkpoint where both name one class",
        )
    used_config = dict(config)
    if model_index.get("_class_name") == _STABLE_DIFFUSION and isinstance(config.get("steps_offset", 0), int):
        used_config["steps_offset"] = 1
    return used_config


def native_latent_size(model_index: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[int, int] | None:
    """The default rows and columns of latents of the pipeline; None if the UNet's config states no `sample_size`.

    StableDiffusionPipeline treats a `sample_size` below 64 from diffusers before 0.9 as an error, and uses 64.
    """
    sample_size = config.get("sample_size")
    if sample_size is None or isinstance(sample_size, list):
        return None if sample_size is None else (sample_size[0], sample_size[1])
    version = re.match(r"(\d+)\.(\d+)", str(config.get("_diffusers_version", "")))
    is_old = version is not None and (int(version[1]), int(version[2])) < (0, 9)
    use_64 = is_old and model_index.get("_class_name") == _STABLE_DIFFUSION and sample_size < 64
    side = 64 if use_64 else sample_size
    return side, side
