"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click

as_path = click.Path(path_type=Path)

bundle_argument = click.argument("folder", metavar="BUNDLE", type=as_path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; no progress.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is there, once the new one is whole.")
seed_option = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)


def revision_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select the weights of a SOURCE on the hub or in a folder."""
    revision = click.option("--revision", metavar="NAME", help="A branch, tag or commit on the hub.")
    variant = click.option("--variant", metavar="NAME", help="The variant of the weights to read, as fp16.")
    return revision(variant(verb))


def source_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add all options of a SOURCE, which the command receives as `opening`, the arguments of `open_source`."""

    @click.option("--config", metavar="SOURCE", help="Of a single file: take configs and tokenizers from there.")
    @click.option("--unet", metavar="SOURCE", help="Take this source's UNet instead.")
    @click.option("--vae", metavar="SOURCE", help="Take this source's VAE instead.")
    @click.option(
        "--lora", "loras", metavar="FILE_OR_ID[:WEIGHT]", multiple=True, help="Add this LoRA; repeatable, summed."
    )
    @click.option("--scheduler", metavar="CLASS", help="Take this scheduler, as EulerDiscreteScheduler.")
    @click.option("--timestep-spacing", metavar="NAME", help="Of the scheduler: leading, trailing or linspace.")
    @revision_options
    @wraps(verb)
    def with_opening(
        config: str | None,
        unet: str | None,
        vae: str | None,
        loras: tuple[str, ...],
        scheduler: str | None,
        timestep_spacing: str | None,
        variant: str | None,
        revision: str | None,
        **others: Any,
    ) -> Any:
        opening = {
            "variant": variant,
            "revision": revision,
            "config": config,
            "parts": parts(unet=unet, vae=vae),
            "loras": loras,
            "scheduler": scheduler,
            "timestep_spacing": timestep_spacing,
        }
        return verb(opening=opening, **others)

    return with_opening


def parts(**sources: str | None) -> dict[str, str]:
    """The sources that are not None, by the subfolder of the component that they replace."""
    return {subfolder: source for subfolder, source in sources.items() if source is not None}


def settings_options(*, fuse: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options of onnxruntime, which the command receives as `settings`, a `Settings`.

    Args:
        fuse: the default of the option `--fuse`.
    """
    return partial(_with_settings, fuse)


def _with_settings(fuse_by_default: bool, verb: Callable[..., Any]) -> Callable[..., Any]:
    @click.option("--provider", metavar="cuda|cpu", help="Where to run; CUDA where there is one.")
    @click.option("--threads", type=int, help="Of the CPU provider; one a core by default.")
    @click.option("--tf32", is_flag=True, help="CUDA: round float32 factors to 10 bits, for speed.")
    @click.option("--fuse/--no-fuse", default=fuse_by_default, show_default=True, help="Fuse attention as graphs load.")
    @click.option("--provider-option", "words", metavar="KEY=VALUE", multiple=True, help="Of onnxruntime; repeatable.")
    @wraps(verb)
    def with_settings(
        provider: str | None, threads: int | None, tf32: bool, fuse: bool, words: tuple[str, ...], **others: Any
    ) -> Any:
        from turbo_webnn.runtime.ort.provider import choose_provider
        from turbo_webnn.runtime.ort.settings import Settings, parse_options

        options = parse_options(words)
        chosen = choose_provider(provider)  # type: ignore[arg-type]  # the function checks it, with an error that names the choices
        return verb(settings=Settings(chosen, threads, tf32, fuse, options), **others)

    return with_settings
