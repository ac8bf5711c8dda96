"""The weights of a component on disk: tensors that are read one at a time, and the files that hold them."""

from turbo_webnn.models.checkpoint.checkpoint import Checkpoint
from turbo_webnn.models.checkpoint.tensor import ITEM_BYTES, StoredTensor, Tensor

__all__ = ["ITEM_BYTES", "Checkpoint", "StoredTensor", "Tensor"]
