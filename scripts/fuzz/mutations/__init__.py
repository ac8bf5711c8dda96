"""Mutations of an intact checkpoint, bundle or recipe; all random choices come from a `random.Random`."""

from turbo_webnn.scripts.fuzz.mutations.folders import mutate_folder
from turbo_webnn.scripts.fuzz.mutations.json_documents import mutate_json_bytes
from turbo_webnn.scripts.fuzz.mutations.onnx_graphs import mutate_onnx_bytes
from turbo_webnn.scripts.fuzz.mutations.plain_bytes import mutate_bytes
from turbo_webnn.scripts.fuzz.mutations.safetensors_files import mutate_safetensors_bytes

__all__ = ["mutate_bytes", "mutate_folder", "mutate_json_bytes", "mutate_onnx_bytes", "mutate_safetensors_bytes"]
