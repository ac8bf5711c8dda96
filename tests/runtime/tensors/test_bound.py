from __future__ import annotations

import numpy as np
import pytest

from tests.runtime.conftest import MakeBundle
from turbo_webnn.runtime.ort.loading import load
from turbo_webnn.runtime.ort.settings import Settings
from turbo_webnn.runtime.tensors.bound import BoundSession
from turbo_webnn.runtime.tensors.slots import Slots

CPU = Settings("cpu")


@pytest.mark.parametrize("captured", [True, False])
def test_slots_are_read_anew_and_may_move_unless_captured(make_bundle: MakeBundle, captured: bool) -> None:
    bundle = make_bundle("fp16")
    (graph,) = bundle.chain("text_encoder").graphs
    slots = Slots(CPU)
    (taken,), (given,) = graph.inputs, graph.outputs
    ids, states = slots.of("one", taken), slots.of("one", given)
    session = load(bundle, graph, CPU, bound=True)
    bound = BoundSession(session, CPU.run_options(bound=True), captured=captured)
    for first in (0, 8):
        ids.put(np.arange(first, first + 8).reshape(1, 8))
        bound.run({taken.name: ids}, {given.name: states})
        assert states.get().ravel().tolist() == list(range(first, first + 8))
    other = slots.of("other", given)
    if captured:
        with pytest.raises(AssertionError, match="a captured last_hidden_state cannot move"):
            bound.run({taken.name: ids}, {given.name: other})
    else:
        bound.run({taken.name: ids}, {given.name: other})
        assert other.get().ravel().tolist() == list(range(8, 16))
