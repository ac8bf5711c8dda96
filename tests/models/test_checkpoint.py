from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tests.refusal import refusal
from turbo_webnn.models.checkpoint import Checkpoint, StoredTensor

STEM = "model"
TENSORS: dict[str, np.ndarray] = {
    "a": np.arange(12, dtype=np.float32).reshape(3, 4),
    "b": np.arange(5, dtype=np.float16),
    "c": np.full((2, 2, 2), 0.5, np.float64),
}


def write(folder: Path, name: str = f"{STEM}.safetensors", keys: str = "abc") -> Path:
    path = folder / name
    safetensors.numpy.save_file({key: TENSORS[key] for key in keys}, path)
    return path


def write_index(folder: Path, name: str, weight_map: object) -> None:
    (folder / name).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def assert_whole(checkpoint: Checkpoint) -> None:
    assert set(checkpoint.tensors) == set(TENSORS)
    assert checkpoint.count() == 12 + 5 + 8
    for key, expected in TENSORS.items():
        stored = checkpoint.tensor(expected.shape, key)
        assert b"".join(stored.blocks(1 << 20)) == expected.tobytes()
        assert (stored.shape, stored.nbytes) == (expected.shape, expected.nbytes)


def test_a_whole_file(tmp_path: Path) -> None:
    path = write(tmp_path)
    checkpoint = Checkpoint.open(tmp_path, STEM)
    assert checkpoint.where == path
    assert_whole(checkpoint)


def test_blocks_join_to_the_tensor(tmp_path: Path) -> None:
    write(tmp_path)
    stored = Checkpoint.open(tmp_path, STEM).tensors["a"]
    blocks = list(stored.blocks(17))
    assert [len(block) for block in blocks] == [16, 16, 16]  # whole numbers only
    assert b"".join(blocks) == TENSORS["a"].tobytes()
    assert [len(block) for block in stored.blocks(1)] == [4] * 12


def test_one_row_is_read_alone(tmp_path: Path) -> None:
    write(tmp_path)
    for key, index in (("a", 2), ("c", 1)):
        row = Checkpoint.open(tmp_path, STEM).tensors[key].row(index)
        assert (row.shape, row.nbytes) == (TENSORS[key][index].shape, TENSORS[key][index].nbytes)
        assert b"".join(row.blocks(16)) == TENSORS[key][index].tobytes()
        read = np.empty_like(TENSORS[key][index])
        row.read_into(memoryview(read).cast("B"))
        np.testing.assert_array_equal(read, TENSORS[key][index])


def test_a_tensor_without_numbers(tmp_path: Path) -> None:
    safetensors.numpy.save_file({"e": np.zeros((0, 3), np.float32)}, tmp_path / f"{STEM}.safetensors")
    assert list(Checkpoint.open(tmp_path, STEM).tensor((0, 3), "e").blocks(8)) == []


@pytest.mark.parametrize(
    ("variant", "index", "shards"),
    [
        (None, "model.safetensors.index.json", ("model-00001-of-00002", "model-00002-of-00002")),
        ("fp16", "model.safetensors.index.fp16.json", ("model.fp16-00001-of-00002", "model.fp16-00002-of-00002")),
        ("fp16", "model.fp16.safetensors.index.json", ("model-00001-of-00002.fp16", "model-00002-of-00002.fp16")),
    ],
)
def test_shards(tmp_path: Path, variant: str | None, index: str, shards: tuple[str, str]) -> None:
    first, second = (f"{shard}.safetensors" for shard in shards)
    write(tmp_path, first, "ac")
    write(tmp_path, second, "b")
    write_index(tmp_path, index, {"a": first, "b": second, "c": first})
    checkpoint = Checkpoint.open(tmp_path, STEM, variant)
    assert checkpoint.where == tmp_path / index
    assert_whole(checkpoint)


def test_a_variant_is_read_and_no_other(tmp_path: Path) -> None:
    write(tmp_path, keys="a")
    write(tmp_path, "model.fp16.safetensors")
    assert_whole(Checkpoint.open(tmp_path, STEM, "fp16"))
    assert set(Checkpoint.open(tmp_path, STEM).tensors) == {"a"}


@pytest.mark.parametrize(
    ("held", "variant", "said"),
    [
        ((), None, "has no model.safetensors; give a complete diffusers folder"),
        ((), "fp16", "has no model.fp16.safetensors; give a complete diffusers folder"),
        (("model.fp16.safetensors",), None, "it has weights with --variant fp16"),
        (("model.fp16.safetensors", "model.bf16.safetensors"), None, "with --variant bf16 or with --variant fp16"),
        (("model.safetensors",), "fp16", "it has weights without --variant"),
        (("model-00001-of-00002.fp16.safetensors",), None, "it has weights with --variant fp16"),
        (("model.fp16-00001-of-00002.safetensors",), None, "it has weights with --variant fp16"),
        (("model.fp16.safetensors", "model.bin"), "bf16", "it has weights with --variant fp16"),
        (("model.fp16.bin", "model.safetensors"), "fp16", "it has weights without --variant"),
        (("pytorch_model.bin",), None, "holds its weights as a pickle, which runs code when it is read; save them as"),
        (("model.ckpt",), "fp16", "holds its weights as a pickle"),
        (("other.safetensors",), None, "has no model.safetensors; give a complete diffusers folder"),
    ],
)
def test_what_is_there_instead(tmp_path: Path, held: tuple[str, ...], variant: str | None, said: str) -> None:
    for name in held:
        (tmp_path / name).touch()
    assert said in refusal(Checkpoint.open, tmp_path, STEM, variant)


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    assert "give a complete diffusers folder" in refusal(Checkpoint.open, tmp_path / "unet", STEM)


@pytest.mark.parametrize("kept", [0, 4, 20, -1, -100])
def test_a_truncated_file(tmp_path: Path, kept: int) -> None:
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    said = refusal(Checkpoint.open, tmp_path, STEM)
    assert said.startswith(f"{path} is truncated or corrupt (")
    assert said.endswith("; copy or download it anew")


@pytest.mark.parametrize(
    "contents",
    [
        b"<html>Sign in</html>" * 10,
        (1 << 62).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (60).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,4]}}      \0\0\0\0',
    ],
)
def test_a_header_that_is_corrupt(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / f"{STEM}.safetensors").write_bytes(contents)
    assert "is truncated or corrupt" in refusal(Checkpoint.open, tmp_path, STEM)


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path)
    checkpoint = Checkpoint.open(tmp_path, STEM)
    stored_tensors = [stored for stored in checkpoint.tensors.values() if isinstance(stored, StoredTensor)]
    last = max(stored_tensors, key=lambda stored: stored.offset)
    path.write_bytes(path.read_bytes()[:-1])
    assert (
        refusal(lambda: list(last.blocks(8)))
        == f"{path} ends inside tensor {last.name}; copy or download the file anew"
    )


@pytest.mark.parametrize(
    "shard", ["../model-1.safetensors", "/model-1.safetensors", "a/b.safetensors", "..", "", "model-1.bin"]
)
def test_an_index_that_leaves_its_folder(tmp_path: Path, shard: str) -> None:
    folder = tmp_path / "unet"
    folder.mkdir()
    write(tmp_path, "model-1.safetensors")
    write_index(folder, "model.safetensors.index.json", {"a": shard})
    assert f"names {shard!r}, which is no safetensors file beside it" in refusal(Checkpoint.open, folder, STEM)


def test_an_index_whose_shard_is_missing(tmp_path: Path) -> None:
    write(tmp_path, "model-1.safetensors", "a")
    write_index(tmp_path, "model.safetensors.index.json", {"a": "model-1.safetensors", "b": "model-2.safetensors"})
    assert "names model-2.safetensors, which is missing" in refusal(Checkpoint.open, tmp_path, STEM)


def test_an_index_that_promises_too_much(tmp_path: Path) -> None:
    write(tmp_path, "model-1.safetensors", "a")
    write_index(tmp_path, "model.safetensors.index.json", {"a": "model-1.safetensors", "b": "model-1.safetensors"})
    assert "promises tensor b, which no shard holds" in refusal(Checkpoint.open, tmp_path, STEM)


@pytest.mark.parametrize("weight_map", [None, [], "a", {"a": 5}, {"a": ["model-1.safetensors"]}])
def test_an_index_of_another_form(tmp_path: Path, weight_map: object) -> None:
    write_index(tmp_path, "model.safetensors.index.json", weight_map)
    assert "is not an index of shards; copy or download it anew" in refusal(Checkpoint.open, tmp_path, STEM)


def test_an_index_that_is_not_json(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text("{")
    assert "is not readable JSON" in refusal(Checkpoint.open, tmp_path, STEM)


def test_tensors_go_by_the_first_prefix_that_is_there(tmp_path: Path) -> None:
    tensors = {"p.a": np.zeros(1, np.float32), "a": np.ones(1, np.float32), "b": np.ones(1, np.float32)}
    safetensors.numpy.save_file(tensors, tmp_path / f"{STEM}.safetensors")
    checkpoint = Checkpoint.open(tmp_path, STEM)
    assert checkpoint.tensor((1,), "p.a", "a").name == "p.a"
    assert checkpoint.tensor((1,), "p.b", "b").name == "b"
    assert checkpoint.tensor((1,), "a").name == "a"


def test_tensors_that_do_not_fit(tmp_path: Path) -> None:
    tensors: dict[str, np.ndarray] = {"a": np.zeros((2, 3), np.float32), "ids": np.zeros(4, np.int64)}
    safetensors.numpy.save_file(tensors, tmp_path / f"{STEM}.safetensors")
    checkpoint = Checkpoint.open(tmp_path, STEM)
    said = refusal(checkpoint.tensor, (1,), "p.b", "b")
    assert said.endswith("has no tensor p.b; the file belongs to another architecture")
    said = refusal(checkpoint.tensor, (3, 2), "a")
    assert said.endswith("tensor a has shape [2, 3]; the config asks for [3, 2]")
    said = refusal(checkpoint.tensor, (4,), "ids")
    assert said.endswith("tensor ids is I64; served are F64, F32, F16, BF16")


def test_no_mapping_stays(tmp_path: Path) -> None:
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("the kernel does not list mappings")
    path = write(tmp_path)
    checkpoint = Checkpoint.open(tmp_path, STEM)
    for block in checkpoint.tensors["a"].blocks(8):
        assert block
        assert str(path) not in maps.read_text()


def entry(
    dtype: str = "F32", shape: tuple[object, ...] = (16,), offsets: tuple[int, int] = (0, 64)
) -> dict[str, object]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def write_header(folder: Path, header: object, length: int | None = None) -> Path:
    """A file of that header and 64 bytes of numbers."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / f"{STEM}.safetensors"
    path.write_bytes((len(raw) if length is None else length).to_bytes(8, "little") + raw + bytes(64))
    return path


A = json.dumps(entry()).encode()


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":%b,"a":%b}' % (A, A),
        b'{"a":%b,"a":{"dtype":"F32","shape":[8],"data_offsets":[32,64]}}' % A,
        b'{"a":{"dtype":"F32","dtype":"F16","shape":[16],"data_offsets":[0,64]}}',
        {"a": entry(), "b": entry()},
        {"a": entry(shape=(8,), offsets=(0, 32)), "b": entry(shape=(8,), offsets=(16, 48))},
        {"a": entry(shape=(8,), offsets=(0, 32)), "b": entry(shape=(4,), offsets=(48, 64))},
        {"a": entry(shape=(17,), offsets=(0, 68))},
        {"a": entry(shape=(8,), offsets=(0, 32))},
        {"a": entry(offsets=(64, 0))},
        {"a": entry(offsets=(-64, 0))},
        {"a": entry("Q9")},
        {"a": entry(shape=(3, 5))},
        {"a": entry(shape=(-16,))},
        {"a": entry(shape=(10**30,))},
        {"a": entry(shape=(2**32, 2**32))},
        {"a": entry(shape=(16.0,))},
        {"a": entry(shape=(True, 16))},
        {"a": entry(shape=("16",))},
        {"a": {"dtype": "F32", "shape": [16]}},
        {"a": None},
        {"a": [1]},
        {"__metadata__": [], "a": entry()},
        {"__metadata__": {"format": 1}, "a": entry()},
        b"[" * 100_000,
        b'{"__metadata__":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"\xff":%b}' % A,
        b'{"\\ud800":%b}' % A,
        b"null",
        b"",
    ],
    ids=lambda header: str(header)[:60],
)
def test_a_header_that_lies(tmp_path: Path, header: object) -> None:
    path = write_header(tmp_path, header)
    said = refusal(Checkpoint.open, tmp_path, STEM)
    assert str(path) in said
    assert said.endswith("; copy or download it anew")
    assert len(said) < len(str(path)) + 350


@pytest.mark.parametrize("length", [0, 1, 200_000_000, 1 << 40, (1 << 64) - 1])
def test_a_header_of_another_length(tmp_path: Path, length: int) -> None:
    write_header(tmp_path, {"a": entry()}, length)
    assert "is truncated or corrupt" in refusal(Checkpoint.open, tmp_path, STEM)


@pytest.mark.parametrize(
    "more", [{}, {"__metadata__": None}, {"__metadata__": {"format": "x" * 10**6}}], ids=["none", "null", "long"]
)
def test_metadata_means_nothing(tmp_path: Path, more: dict[str, object]) -> None:
    write_header(tmp_path, more | {"a": entry() | {"unheard": 1}})
    assert Checkpoint.open(tmp_path, STEM).tensors.keys() == {"a"}


def test_numbers_of_a_type_that_is_not_served(tmp_path: Path) -> None:
    write_header(tmp_path, {"a": entry("F8_E4M3", (64,))})
    said = refusal(Checkpoint.open(tmp_path, STEM).tensor, (64,), "a")
    assert "tensor a is F8_E4M3; served are F64, F32, F16, BF16" in said


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / f"{STEM}.safetensors").mkdir()
    assert "has no model.safetensors; give a complete" in refusal(Checkpoint.open, tmp_path, STEM)


@pytest.mark.parametrize(
    ("second", "weight_map", "said"),
    [
        ("b", {"a": "1", "b": "1"}, "promises tensor b, which no shard holds"),
        ("ab", {"a": "1", "b": "2"}, "model-2.safetensors holds tensor a, which"),
        ("bc", {"a": "1", "b": "2"}, "model-2.safetensors holds tensor c, which"),
        ("b", {"a": "2", "b": "1"}, "model-1.safetensors holds tensor a, which"),
        ("b", {"a": "1", "b": "2", "c": "2"}, "promises tensor c, which no shard holds"),
    ],
)
def test_an_index_that_lies(tmp_path: Path, second: str, weight_map: dict[str, str], said: str) -> None:
    write(tmp_path, "model-1.safetensors", "a")
    write(tmp_path, "model-2.safetensors", second)
    names = {name: f"model-{shard}.safetensors" for name, shard in weight_map.items()}
    write_index(tmp_path, "model.safetensors.index.json", names)
    assert said in refusal(Checkpoint.open, tmp_path, STEM)


def test_rows_of_a_transposed_matrix(tmp_path: Path) -> None:
    write(tmp_path)
    transposed = Checkpoint.open(tmp_path, STEM).tensors["a"].transposed()
    assert transposed.shape == (4, 3)
    np.testing.assert_array_equal(transposed.read(), TENSORS["a"].T)
    np.testing.assert_array_equal(transposed.rows(1, 4).rows(1, 3).read(), TENSORS["a"].T[2:4])
