"""Damage to a folder: to the contents of a file, or to the file itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from turbo_webnn.scripts.fuzz.mutations.json_documents import mutate_json_bytes
from turbo_webnn.scripts.fuzz.mutations.onnx_graphs import mutate_onnx_bytes
from turbo_webnn.scripts.fuzz.mutations.plain_bytes import mutate_bytes
from turbo_webnn.scripts.fuzz.mutations.safetensors_files import mutate_safetensors_bytes

_BY_SUFFIX: dict[str, Callable[[Random, bytes], bytes]] = {
    ".json": mutate_json_bytes,
    ".safetensors": mutate_safetensors_bytes,
    ".onnx": mutate_onnx_bytes,
}


def mutate_folder(rng: Random, folder: Path) -> str:
    """Change one file of `folder`; return the damage as text."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    path = rng.choice(files)
    name = path.relative_to(folder).as_posix()
    if rng.random() < 0.75:
        mutate = _BY_SUFFIX.get(path.suffix, mutate_bytes)
        if rng.random() < 0.15:
            mutate = mutate_bytes
        path.write_bytes(mutate(rng, path.read_bytes()))
        return f"{name}: {mutate.__name__}"
    change = rng.choice(_CHANGES)
    change(rng, path, files)
    return f"{name}: {change.__name__.lstrip('_')}"


def _delete(_rng: Random, path: Path, _files: list[Path]) -> None:
    path.unlink()


def _swap_with_another(rng: Random, path: Path, files: list[Path]) -> None:
    other = rng.choice(files)
    data, other_data = path.read_bytes(), other.read_bytes()
    path.write_bytes(other_data)
    other.write_bytes(data)


def _copy_of_another(rng: Random, path: Path, files: list[Path]) -> None:
    path.write_bytes(rng.choice(files).read_bytes())


def _rename(rng: Random, path: Path, _files: list[Path]) -> None:
    path.rename(path.with_name(rng.choice((path.name.upper(), f"{path.name}.bak", "model.onnx", "pytorch_model.bin"))))


def _link_outside(rng: Random, path: Path, _files: list[Path]) -> None:
    path.unlink()
    path.symlink_to(rng.choice(("/etc/hostname", "/dev/zero", "/dev/null", "missing", "/proc/self/mem")))


def _link_to_itself(_rng: Random, path: Path, _files: list[Path]) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _link_to_its_content(_rng: Random, path: Path, _files: list[Path]) -> None:
    content = path.with_name(f"{path.name}.content")
    path.rename(content)
    path.symlink_to(content.name)


def _folder_instead(_rng: Random, path: Path, _files: list[Path]) -> None:
    path.unlink()
    path.mkdir()


def _pipe_instead(_rng: Random, path: Path, _files: list[Path]) -> None:
    path.unlink()
    os.mkfifo(path)


def _file_instead_of_its_folder(_rng: Random, path: Path, files: list[Path]) -> None:
    if path.parent in {file.parent for file in files if file.name in ("model_index.json", "manifest.json")}:
        path.write_bytes(b"")  # the folder is the whole input
        return
    shutil.rmtree(path.parent)
    path.parent.write_bytes(b"")


def _foreign_file(rng: Random, path: Path, _files: list[Path]) -> None:
    name = rng.choice(("secrets.py", "torch.py", "pytorch_model.bin", "config.json", ".hidden", "a\nb"))
    path.with_name(name).write_bytes(b"raise SystemExit('foreign code ran')\n")


_CHANGES: tuple[Callable[[Random, Path, list[Path]], None], ...] = (
    _delete,
    _swap_with_another,
    _copy_of_another,
    _rename,
    _link_outside,
    _link_to_itself,
    _link_to_its_content,
    _folder_instead,
    _pipe_instead,
    _file_instead_of_its_folder,
    _foreign_file,
)
