from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from turbo_webnn.export import weights
from turbo_webnn.export.weights import LazyWeight, as_lazy_weight
from turbo_webnn.models.checkpoint import Checkpoint
from turbo_webnn.models.errors import RequestError

NUMBERS = np.random.default_rng(1).normal(size=(5, 7)).astype(np.float32)


def stored(folder: Path, numbers: torch.Tensor | np.ndarray) -> LazyWeight:
    numbers = torch.as_tensor(numbers)
    safetensors.torch.save_file({"w": numbers}, folder / "model.safetensors")
    return LazyWeight(Checkpoint.open(folder, "model").tensor(tuple(numbers.shape), "w"))


def test_a_view_is_what_numpy_makes_of_it(tmp_path: Path) -> None:
    weight = stored(tmp_path, NUMBERS)
    view = weight.permuted([1, 0])
    assert view is not None
    view = view.scaled(0.125).reshaped([35, 1]).cast(ir.DataType.FLOAT16)
    expected = (NUMBERS.T * np.float32(0.125)).reshape(35, 1).astype(np.float16)
    assert (view.shape, view.dtype) == (ir.Shape([35, 1]), ir.DataType.FLOAT16)
    np.testing.assert_array_equal(view.numpy(), expected)
    file = io.BytesIO()
    view.tofile(file)
    assert file.getvalue() == expected.tobytes() == view.tobytes()
    np.testing.assert_array_equal(weight.numpy(), NUMBERS)  # deriving changes nothing
    np.testing.assert_array_equal(view.numbers().numpy(), expected)
    np.testing.assert_array_equal(weight.numbers().numpy(), NUMBERS)


def test_a_reshaped_view_is_not_permuted(tmp_path: Path) -> None:
    assert stored(tmp_path, NUMBERS).reshaped([7, 5]).permuted([1, 0]) is None


def test_blocks_join_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weight = stored(tmp_path, NUMBERS).cast(ir.DataType.FLOAT16)
    whole = weight.tobytes()
    monkeypatch.setattr(weights, "BLOCK_BYTES", 12)
    assert weight.tobytes() == whole == NUMBERS.astype(np.float16).tobytes()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_every_type_of_checkpoint_is_read(tmp_path: Path, dtype: torch.dtype) -> None:
    numbers = torch.as_tensor(NUMBERS).to(dtype)
    np.testing.assert_array_equal(stored(tmp_path, numbers).numpy(), numbers.float().numpy())


@pytest.mark.parametrize(
    ("number", "dtype", "said"),
    [
        (np.nan, ir.DataType.FLOAT, "tensor w holds NaN or Inf"),
        (-np.inf, ir.DataType.FLOAT16, "tensor w holds NaN or Inf"),
        (1e5, ir.DataType.FLOAT16, "beyond float16's 65504; export with --precision fp32"),
    ],
)
def test_numbers_that_make_no_picture_are_refused(tmp_path: Path, number: float, dtype: ir.DataType, said: str) -> None:
    numbers = NUMBERS.copy()
    numbers[3, 2] = number
    with pytest.raises(RequestError, match=said):
        stored(tmp_path, numbers).cast(dtype).tobytes()


def test_passes_may_not_hold_large_weights(tmp_path: Path) -> None:
    weight = stored(tmp_path, np.zeros((1200, 1000), np.float32))
    with pytest.raises(AssertionError, match="too large"):
        weight.numpy()
    assert len(weight.tobytes()) == 4_800_000


def test_a_constant_of_the_graph_derives_likewise() -> None:
    view = as_lazy_weight(ir.tensor(NUMBERS)).permuted([1, 0])
    assert view is not None
    np.testing.assert_array_equal(view.numpy(), NUMBERS.T)
