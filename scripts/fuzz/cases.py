"""Cases: one damaged input, made from a seed, and the runs of the command on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

from turbo_webnn.models.source import EMBEDDED
from turbo_webnn.scripts.fuzz.mutations import mutate_folder
from turbo_webnn.scripts.fuzz.sealing import has_digest_mismatch, reseal

Kind = Literal["checkpoint", "bundle"]
KINDS: tuple[Kind, ...] = ("checkpoint", "bundle")

INPUT, OUTPUT = "{input}", "{output}"
"""Placeholders in a command for the damaged input and for the output path."""

RECIPE = "recipe.json"
"""The name of the recipe in a checkpoint's folder, for exports in 4 bits."""

_COUNTS = (1, 1, 1, 2, 3)
"""The possible numbers of damages of a case; one is drawn at random."""

_RESEALED = 0.5
"""The fraction of bundles whose manifest gets digests of the damaged files, as an attacker would write them."""

_VAE_SOURCES = 0.1
"""The fraction of checkpoints that are also used as the source of a VAE."""


@dataclass(frozen=True)
class Command:
    """One run of the command.

    Attributes:
        words: the arguments of `turbo-webnn`, with INPUT and OUTPUT in place of paths.
        told: whether a sha256 in the manifest reveals the damage, so that the command must refuse the input.
    """

    words: tuple[str, ...]
    told: bool

    @property
    def verb(self) -> str:
        """The subcommand."""
        return self.words[0]

    def with_paths(self, damaged: Path, output: Path) -> list[str]:
        """The words with paths in place of the placeholders."""
        return [word.replace(INPUT, str(damaged)).replace(OUTPUT, str(output)) for word in self.words]


@dataclass(frozen=True)
class Case:
    """A damaged input and its commands.

    Attributes:
        kind: the kind of input.
        seed: of the random damages.
        damages: the damages as text.
        commands: the runs of the command.
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
    rng = Random(f"{kind} {seed}")  # noqa: S311 - a seed must give the same case again
    original = EMBEDDED["tiny"] if kind == "checkpoint" else originals["bundle"]
    shutil.copytree(original, folder, ignore=shutil.ignore_patterns("*.png", "README.md", "report"))
    if kind == "checkpoint":
        shutil.copyfile(originals["recipe"], folder / RECIPE)
    damages = [mutate_folder(rng, folder) for _ in range(rng.choice(_COUNTS))]
    if kind == "checkpoint":
        return Case(kind, seed, tuple(damages), tuple(_checkpoint_commands(rng, original)))
    if rng.random() < _RESEALED and reseal(folder):
        damages.append("resealed")
    told = has_digest_mismatch(folder, original)
    return Case(kind, seed, tuple(damages), tuple(_bundle_commands(rng, told=told)))


def _checkpoint_commands(rng: Random, original: Path) -> Iterator[Command]:
    options = rng.choice(([], [], ["--precision", "fp32"], ["--precision", "q4f16", "--recipe", f"{INPUT}/{RECIPE}"]))
    if rng.random() < 0.5:
        options = [*options, "--component", rng.choice(("text_encoder", "unet", "vae_decoder", "vae_encoder"))]
    yield Command(("export", INPUT, "-o", OUTPUT, *options), told=False)
    if rng.random() < _VAE_SOURCES:
        words = ("export", str(original), "--vae", f"{INPUT}/vae", "-o", OUTPUT, "--component", "vae_decoder")
        yield Command(words, told=False)


def _bundle_commands(rng: Random, *, told: bool) -> Iterator[Command]:
    picture = rng.choice(([], ["--steps", "4"]))
    provider = rng.choice(([], ["--rules-only"], ["--rules-only"], ["--rules-only"]))
    yield Command(("generate", INPUT, "a red circle", "-o", f"{OUTPUT}.png", *picture), told)
    yield Command(("bench", INPUT, "--rounds", "1", "--warmup", "0", "--steps", "1"), told)
    yield Command(("check", INPUT, *provider), told)
    yield Command(("verify", INPUT, "--reference", "tiny", "--steps", "1"), told)
