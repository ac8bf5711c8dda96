"""Differences between the options that a bundle was exported with and those of the reference."""

from __future__ import annotations

from typing import Any

from turbo_webnn.models.provenance import Provenance

_OPTIONS = {"loras": "--lora", "scheduler": "--scheduler or --timestep-spacing", "unet": "--unet", "vae": "--vae"}


def differences(made: Provenance, compared: Provenance) -> list[str]:
    """A line for each option that changes numbers and differs; the comparison then fails for a known reason.

    Args:
        made: the origin of the bundle.
        compared: the origin of the reference.
    """
    lines = []
    for key, option in _OPTIONS.items():
        bundle, reference = _stated(made, key), _stated(compared, key)
        if bundle != reference:
            lines.append(f"the bundle was exported with {option} {_text(bundle)}, the reference has {_text(reference)}")
    return lines


def _stated(origin: Provenance, key: str) -> Any:
    """What `origin` states for `key`, without what does not change numbers, such as the name of a LoRA's file."""
    value: Any = origin.get(key)
    if key == "loras":
        return [(lora["sha256"], lora["weight"]) for lora in value or []]
    return value.get("name") if key in ("unet", "vae") and value else value


def _text(value: Any) -> str:
    if not value:
        return "none"
    if isinstance(value, list):
        return ", ".join(f"sha256 {sha256[:12]}… at {weight:g}" for sha256, weight in value)
    return ", ".join(value.values()) if isinstance(value, dict) else str(value)
