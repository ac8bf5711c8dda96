from __future__ import annotations

import numpy as np
import pytest

from tests.runtime.conftest import MakeBundle
from turbo_webnn.models.component import Size
from turbo_webnn.runtime.webnn.rehearsal import rehearse


def test_every_graph_is_passed_once_by_one_drawing(make_bundle: MakeBundle) -> None:
    bundle = make_bundle("fp16", Size(2, 16, 24), cut=True)
    passages = rehearse(bundle)
    components = bundle.manifest.components
    assert passages.keys() == {graph for chain in components.values() for graph in chain.graphs}
    for graph, passage in passages.items():
        for tensors, arrays in ((graph.inputs, passage.inputs), (graph.outputs, passage.outputs)):
            assert {tensor.name: (tensor.dtype, tensor.shape) for tensor in tensors} == {
                name: (array.dtype.name, array.shape) for name, array in arrays.items()
            }
    (encoder,), (timed, told) = components["text_encoder"].graphs, components["unet"].graphs
    states = passages[encoder].outputs["last_hidden_state"]
    np.testing.assert_array_equal(passages[told].inputs["encoder_hidden_states"], states)
    np.testing.assert_array_equal(passages[told].inputs["timed"], passages[timed].outputs["timed"])
    assert passages[timed].inputs["timestep"] == [1400]  # of the schedule of one step


@pytest.mark.parametrize("components", [("unet",), ("text_encoder", "vae_encoder")])
def test_what_no_drawing_reaches_runs_on_noise(make_bundle: MakeBundle, components: tuple[str, ...]) -> None:
    bundle = make_bundle(components=components)
    passages = rehearse(bundle)
    assert len(passages) == len(components)
    for passage in passages.values():
        assert all(np.ptp(array) > 0 or array.size == 1 for array in passage.inputs.values())
