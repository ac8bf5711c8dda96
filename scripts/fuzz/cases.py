"""A case: one damaged input, made from a seed, and the runs of the command that are given it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

from turbo_webnn.models.source import EMBEDDED
from turbo_webnn.scripts.fuzz.mutations import mutate_folder
from turbo_webnn.scripts.fuzz.sealing import is_told, reseal

Kind = Literal["checkpoint", "bundle"]
KINDS: tuple[Kind, ...] = ("checkpoint", "bundle")

INPUT, OUTPUT = "{input}", "{output}"
"""What stands in a command for the damaged input and for a path to write."""

RECIPE = "recipe.json"
"""A recipe in a checkpoint's folder, which exports in 4 bits follow."""

_COUNTS = (1, 1, 1, 2, 3)
"""How many damages a case has; drawn."""

_RESEALED = 0.5
"""Of the bundles, how many get a manifest that fits the damage, as an attacker would write it."""

_OTHERS = 0.1
"""Of the checkpoints, how many are also given to the verbs that take one for a reference."""


@dataclass(frozen=True)
class Command:
    """One run of the command.

    Attributes:
        words: what follows `turbo-webnn`, with INPUT and OUTPUT in place of paths.
        told: whether a sha256 in the manifest tells the damage, so that the input must be refused.
    """

    words: tuple[str, ...]
    told: bool

    @property
    def verb(self) -> str:
        """The verb that runs."""
        return self.words[0]

    def with_paths(self, damaged: Path, output: Path) -> list[str]:
        """The words, with paths in their places."""
        return [word.replace(INPUT, str(damaged)).replace(OUTPUT, str(output)) for word in self.words]


@dataclass(frozen=True)
class Case:
    """A damaged input.

    Attributes:
        damages: what was done to it, in words.
    """

    kind: Kind
    seed: int
    damages: tuple[str, ...]
    commands: tuple[Command, ...]


def make_case(kind: Kind, seed: int, originals: Mapping[str, Path], folder: Path) -> Case:
    """Write the damaged input of `seed` to `folder`, which must not exist.

    Args:
        kind: what to damage.
        seed: of the random numbers.
        originals: intact inputs by name: `bundle`, and a `recipe` that fits `tiny`.
        folder: where to write the damaged input.
    """
    rng = Random(f"{kind} {seed}")  # noqa: S311 - a case is to be made again from its seed
    original = EMBEDDED["tiny"] if kind == "checkpoint" else originals["bundle"]
    shutil.copytree(original, folder, ignore=shutil.ignore_patterns("*.png", "README.md", "report"))
    if kind == "checkpoint":
        shutil.copyfile(originals["recipe"], folder / RECIPE)
    damages = [mutate_folder(rng, folder) for _ in range(rng.choice(_COUNTS))]
    if kind == "checkpoint":
        return Case(kind, seed, tuple(damages), tuple(_checkpoint_commands(rng, original)))
    if rng.random() < _RESEALED and reseal(folder):
        damages.append("resealed")
    told = is_told(folder, original)
    return Case(kind, seed, tuple(damages), tuple(_bundle_commands(rng, told=told)))


def _checkpoint_commands(rng: Random, original: Path) -> Iterator[Command]:
    options = rng.choice(([], [], ["--precision", "fp32"], ["--precision", "q4f16", "--recipe", f"{INPUT}/{RECIPE}"]))
    if rng.random() < 0.5:
        options = [*options, "--component", rng.choice(("text_encoder", "unet", "vae_decoder", "vae_encoder"))]
    yield Command(("export", INPUT, "-o", OUTPUT, *options), told=False)
    if rng.random() < _OTHERS:
        words = ("export", str(original), "--vae", f"{INPUT}/vae", "-o", OUTPUT, "--component", "vae_decoder")
        yield Command(words, told=False)


def _bundle_commands(rng: Random, *, told: bool) -> Iterator[Command]:
    picture = rng.choice(([], ["--steps", "4"]))
    provider = rng.choice(([], ["--rules-only"], ["--rules-only"], ["--rules-only"]))
    yield Command(("generate", INPUT, "a red circle", "-o", f"{OUTPUT}.png", *picture), told)
    yield Command(("bench", INPUT, "--rounds", "1", "--warmup", "0", "--steps", "1"), told)
    yield Command(("check", INPUT, *provider), told)
    yield Command(("verify", INPUT, "--reference", "tiny", "--steps", "1"), told)
