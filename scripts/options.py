"""Options that several verbs share and that need a word more than click's."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click


def settings_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """How onnxruntime runs: handed on as `settings`, a `runtime.settings.Settings`."""

    @click.option("--provider", metavar="cuda|cpu", help="Where to run; CUDA where there is one.")
    @click.option("--threads", type=int, help="Of the CPU provider; one a core by default.")
    @click.option("--tf32", is_flag=True, help="CUDA: round float32 factors to 10 bits, for speed.")
    @click.option("--fuse/--no-fuse", default=None, help="Fuse attention as graphs load; so it is on CUDA.")
    @click.option("--provider-option", "words", metavar="KEY=VALUE", multiple=True, help="Of onnxruntime; repeatable.")
    @wraps(verb)
    def asked(
        provider: str | None, threads: int | None, tf32: bool, fuse: bool | None, words: tuple[str, ...], **others: Any
    ) -> Any:
        from runtime.provider import choose_provider
        from runtime.settings import Settings, parse_options

        options = parse_options(words)
        chosen = choose_provider(provider)  # type: ignore[arg-type]  # checked there, with an error that names the choices
        return verb(settings=Settings(chosen, threads, tf32, fuse, options), **others)

    return asked
