"""A session whose inputs and outputs are slots on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turbo_webnn.runtime.ort.provider import as_request_errors
from turbo_webnn.runtime.tensors.slots import Slot


class Bound:
    """Runs `session` from slots into slots, by the names of its inputs and outputs.

    Args:
        captured: whether onnxruntime keeps the first run as a CUDA graph. It replays the addresses of that run
            whatever is bound later, so the slots must be the same ever after.
    """

    def __init__(self, session: Any, run_options: Any, *, captured: bool) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._run_options = run_options
        self._captured = captured
        self._slots: dict[str, Slot] = {}

    def run(self, inputs: Mapping[str, Slot], outputs: Mapping[str, Slot]) -> None:
        """Run once; returns when the outputs are written.

        Raises:
            RequestError: where onnxruntime fails, for want of memory above all.
        """
        for name, slot in inputs.items():
            if self._is_new(name, slot):
                self._binding.bind_ortvalue_input(name, slot.value)
        for name, slot in outputs.items():
            if self._is_new(name, slot):
                self._binding.bind_ortvalue_output(name, slot.value)
        with as_request_errors("running a graph failed", "try --provider cpu, or a bundle of a smaller size"):
            self._session.run_with_iobinding(self._binding, self._run_options)

    def _is_new(self, name: str, slot: Slot) -> bool:
        held = self._slots.get(name)
        assert not (self._captured and held is not None and held is not slot), f"a captured {name} cannot move"
        self._slots[name] = slot
        return held is not slot
