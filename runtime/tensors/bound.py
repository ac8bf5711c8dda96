"""A session whose inputs and outputs are slots on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from turbo_webnn.runtime.ort.provider import as_request_errors
from turbo_webnn.runtime.tensors.slots import Slot


class BoundSession:
    """Runs a session from slots into slots, by the names of its inputs and outputs.

    Args:
        session: the session.
        run_options: onnxruntime's options of each run.
        captured: whether onnxruntime captures the first run as a CUDA graph. The graph replays with the addresses of
            that run, so that all later runs must use the same slots.
    """

    def __init__(self, session: Any, run_options: Any, *, captured: bool) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._run_options = run_options
        self._captured = captured
        self._slots: dict[str, Slot] = {}

    def run(self, inputs: Mapping[str, Slot], outputs: Mapping[str, Slot]) -> None:
        """Run once, and wait until the outputs are written.

        Raises:
            RequestError: where onnxruntime fails, for example because memory is exhausted.
        """
        for name, slot in inputs.items():
            if self._update(name, slot):
                self._binding.bind_ortvalue_input(name, slot.value)
        for name, slot in outputs.items():
            if self._update(name, slot):
                self._binding.bind_ortvalue_output(name, slot.value)
        with as_request_errors("running a graph failed", "try --provider cpu, or a bundle of a smaller size"):
            self._session.run_with_iobinding(self._binding, self._run_options)

    def _update(self, name: str, slot: Slot) -> bool:
        """Remember the slot of `name`, and return whether it differs from the slot of the last run."""
        previous = self._slots.get(name)
        assert not (self._captured and previous is not None and previous is not slot), f"a captured {name} cannot move"
        self._slots[name] = slot
        return previous is not slot
