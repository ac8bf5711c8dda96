from __future__ import annotations

import numpy as np
import pytest

from tests.runtime.conftest import MakeBundle
from turbo_webnn.models.component import Size
from turbo_webnn.runtime.webnn.recorded_runs import record_runs


def test_every_graph_is_passed_once_by_one_drawing(make_bundle: MakeBundle) -> None:
    bundle = make_bundle("fp16", Size(2, 16, 24), cut=True)
    runs = record_runs(bundle)
    components = bundle.manifest.components
    assert runs.keys() == {graph for chain in components.values() for graph in chain.graphs}
    for graph, run in runs.items():
        for tensors, arrays in ((graph.inputs, run.inputs), (graph.outputs, run.outputs)):
            assert {tensor.name: (tensor.dtype, tensor.shape) for tensor in tensors} == {
                name: (array.dtype.name, array.shape) for name, array in arrays.items()
            }
    (encoder,), (timed, told) = components["text_encoder"].graphs, components["unet"].graphs
    states = runs[encoder].outputs["last_hidden_state"]
    np.testing.assert_array_equal(runs[told].inputs["encoder_hidden_states"], states)
    np.testing.assert_array_equal(runs[told].inputs["timed"], runs[timed].outputs["timed"])
    assert runs[timed].inputs["timestep"] == [1400]  # of the schedule of one step


@pytest.mark.parametrize("components", [("unet",), ("text_encoder", "vae_encoder")])
def test_what_no_drawing_reaches_runs_on_noise(make_bundle: MakeBundle, components: tuple[str, ...]) -> None:
    bundle = make_bundle(components=components)
    runs = record_runs(bundle)
    assert len(runs) == len(components)
    for run in runs.values():
        assert all(np.ptp(array) > 0 or array.size == 1 for array in run.inputs.values())
