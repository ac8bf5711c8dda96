"""A published architecture with seeded random weights, as a diffusers folder or a single file.

Full-size tests need no hub with it. Weights are generated and written in blocks. Their standard deviation keeps
activations in the range of a trained model: each product is scaled by its fan-in, so float16 does not overflow, and
pictures are not flat. Imports torch.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.registry import family_of
from turbo_webnn.models.families.stable_diffusion import SAFETY_CHECKER, VAE_DECODER
from turbo_webnn.models.json_file import read_json, write_json
from turbo_webnn.models.modules import build_meta
from turbo_webnn.models.original_names import (
    Original,
    original_clip,
    original_open_clip,
    original_unet,
    original_vae,
)
from turbo_webnn.models.progress import ReportStep
from turbo_webnn.models.staging import scratch_file, staged_folder
from turbo_webnn.models.vocabulary import write_vocabulary

PRESETS = {folder.name: folder for folder in sorted((Path(__file__).parent / "presets").iterdir()) if folder.is_dir()}
"""The published configs by the name of the preset: pipelines, and a separate safety checker."""

RECORD = "synth.json"
"""The file in a written folder that states its preset, seed, variant and files."""

_BLOCK = 1 << 22
"""The number of random values in one block."""


def synthesize(
    preset: str,
    output: str | Path,
    *,
    seed: int = 0,
    variant: str | None = None,
    single_file: bool = False,
    overwrite: bool = False,
    report: ReportStep = lambda _folder, _fraction: None,
) -> Path:
    """Write the pipeline `preset` with random weights drawn from `seed` to `output`.

    The same preset, seed and variant give the same bytes. A single file has the same weights as the folder.

    Args:
        preset: a name in `PRESETS`.
        output: the folder or file to write.
        seed: of the random weights.
        variant: "fp16" writes float16 weights under the hub's file names of that variant; None writes float32.
        single_file: whether to write one `.safetensors` file under the names of the original checkpoints, without
            configs.
        overwrite: whether to replace a folder that an earlier call wrote.
        report: receives the subfolder of a component and the fraction of its weights that is written.

    Raises:
        RequestError: where there is no such preset or variant, or `output` cannot be written.
    """
    if preset not in PRESETS:
        raise RequestError(f"there is no preset {preset!r}", f"there is {', '.join(PRESETS)}")
    if variant not in (None, "fp16"):
        raise RequestError(f"there is no variant {variant!r}", "give fp16, or leave it away for float32")
    if single_file:
        _write_single_file(Path(output), preset, seed, variant, report, overwrite=overwrite)
        return Path(output)
    with staged_folder(Path(output), overwrite=overwrite, named=_named_files) as stage:
        shutil.copytree(PRESETS[preset], stage, dirs_exist_ok=True)
        if (stage / "model_index.json").is_file():
            _write_pipeline(stage, preset, seed, variant, report)
        else:
            _write_weights(stage, _alone(stage), seed, variant, report)
        files = sorted(path.relative_to(stage).as_posix() for path in stage.rglob("*") if path.is_file())
        write_json(stage / RECORD, {"preset": preset, "seed": seed, "variant": variant, "files": files})
    return Path(output)


def _named_files(folder: Path) -> Collection[str] | None:
    """The files of a folder that `synthesize` wrote, from its record; None for any other folder."""
    try:
        files = read_json(folder / RECORD).get("files")
    except RequestError:
        return None
    return {RECORD, *files} if isinstance(files, list) and all(isinstance(name, str) for name in files) else None


def _write_pipeline(folder: Path, preset: str, seed: int, variant: str | None, report: ReportStep) -> None:
    family = family_of(read_json(folder / "model_index.json"), preset)
    by_folder = {component.subfolder: component for component in family.components}
    for name, component in by_folder.items():
        _write_weights(folder / name, component, seed, variant, report)
    for encoder in family.text_encoders:
        config = read_json(folder / encoder.subfolder / "config.json")
        write_vocabulary(folder / str(encoder.tokenizer), config["vocab_size"])


def _alone(folder: Path) -> Component:
    """The component whose config lies in `folder` itself."""
    architectures = read_json(folder / "config.json")["architectures"]
    return next(component for component in (VAE_DECODER, SAFETY_CHECKER) if component.module in architectures)


def _write_single_file(
    output: Path, preset: str, seed: int, variant: str | None, report: ReportStep, *, overwrite: bool
) -> None:
    if not (PRESETS[preset] / "model_index.json").is_file():
        raise RequestError(f"{preset} is no pipeline", "leave out --single-file")
    if output.exists() and not overwrite:
        raise RequestError(f"{output} exists", "give another file, or --overwrite")
    entries = _originals(PRESETS[preset])
    shapes = {original.name: original.shape for _, _, originals in entries for original in originals}
    total, done = sum(map(math.prod, shapes.values())), 0
    numbers = _type(variant)
    with scratch_file(output) as path:
        with path.open("wb") as file:
            file.write(_header(shapes, numbers))
            for component, current, originals in entries:
                for original in originals:
                    for block in _original_blocks(original, current, seed, component.part.gains):
                        file.write(np.ascontiguousarray(block, numbers).data)
                        done += block.size
                        report(component.subfolder, done / total)
        path.replace(output)


def _originals(folder: Path) -> Sequence[tuple[Component, Mapping[str, tuple[int, ...]], Sequence[Original]]]:
    """Each component of the pipeline whose configs are in `folder`, its current shapes, and its tensors in a file."""
    family = family_of(read_json(folder / "model_index.json"), folder.name)
    entries = []
    for component in {component.subfolder: component for component in family.components}.values():
        config = read_json(folder / component.subfolder / "config.json")
        shapes, prefix = _shapes(component, folder / component.subfolder), component.prefixes[0]
        if component.tokenizer is not None:
            # OpenAI's CLIP has quick_gelu, OpenCLIP has gelu
            rename = original_clip if config["hidden_act"] == "quick_gelu" else original_open_clip
            originals = rename(shapes, prefix)
        elif component == family.denoiser:
            originals = original_unet(shapes, config["layers_per_block"], prefix)
        else:
            originals = original_vae(shapes, prefix)
        entries.append((component, shapes, originals))
    return entries


def _original_blocks(
    original: Original, current: Mapping[str, tuple[int, ...]], seed: int, gains: Mapping[str, float]
) -> Iterator[np.ndarray]:
    """The numbers of a tensor of a single file, float32, in blocks."""
    for key in original.keys:
        blocks = _random(key, current[key], seed, gains)
        if original.transposed:  # a small matrix
            yield np.concatenate(list(blocks)).reshape(current[key]).T
        else:
            yield from blocks


def _shapes(component: Component, folder: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the component's parameters by their published names."""
    module = build_meta(component, read_json(folder / "config.json"))
    return {component.keys(name)[0]: tuple(value.shape) for name, value in module.named_parameters()}


def _type(variant: str | None) -> np.dtype:
    return np.dtype(np.float16 if variant else np.float32)


def _write_weights(folder: Path, component: Component, seed: int, variant: str | None, report: ReportStep) -> None:
    shapes = _shapes(component, folder)
    numbers = _type(variant)
    name = f"{component.weights_stem}.{variant}" if variant else component.weights_stem
    total, done = sum(map(math.prod, shapes.values())), 0
    with (folder / f"{name}.safetensors").open("wb") as file:
        file.write(_header(shapes, numbers))
        for key, shape in shapes.items():
            for block in _random(key, shape, seed, component.part.gains):
                file.write(block.astype(numbers, copy=False).data)
                done += block.size
                report(component.subfolder, done / total)


def _header(shapes: dict[str, tuple[int, ...]], numbers: np.dtype) -> bytes:
    """The header of a safetensors file: the length of a JSON object, and the object, padded to 8 bytes."""
    code, offset = {2: "F16", 4: "F32"}[numbers.itemsize], 0
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    for key, shape in shapes.items():
        end = offset + math.prod(shape) * numbers.itemsize
        entries[key] = {"dtype": code, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _random(key: str, shape: tuple[int, ...], seed: int, gains: Mapping[str, float]) -> Iterator[np.ndarray]:
    """The numbers of the parameter `key`, float32, in blocks. They depend on nothing but key and seed."""
    digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
    generator = np.random.Generator(np.random.Philox(int.from_bytes(digest[:16], "little")))
    mean, deviation = _spread(key, shape, gains)
    remaining = math.prod(shape)
    while remaining:
        block = generator.standard_normal(min(remaining, _BLOCK), dtype=np.float32)
        block *= np.float32(deviation)
        block += np.float32(mean)
        yield block
        remaining -= block.size


def _spread(key: str, shape: tuple[int, ...], gains: Mapping[str, float]) -> tuple[float, float]:
    """Mean and standard deviation of the parameter `key`."""
    gain = next((gain for name, gain in gains.items() if key.endswith(name)), 1.0)
    if key.endswith("embedding.weight"):
        return 0.0, gain
    if len(shape) > 1:
        return 0.0, gain / math.sqrt(math.prod(shape[1:]))
    return (1.0, 0.1) if key.endswith("weight") else (0.0, 0.02)  # a norm's weight, or a bias
