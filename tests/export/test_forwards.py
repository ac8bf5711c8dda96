from __future__ import annotations

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from turbo_webnn.export.forwards import Forward
from turbo_webnn.export.passes import simplify
from turbo_webnn.export.trace import trace
from turbo_webnn.models.component import Size
from turbo_webnn.models.families.stable_diffusion_xl import STABLE_DIFFUSION_XL
from turbo_webnn.models.modules import build
from turbo_webnn.models.source import Source, open_source

END = 48


def ids(*rows: list[int]) -> torch.Tensor:
    """Rows padded to 77 with `END` in the first place of its kind, and with 0."""
    return torch.tensor([[0, *row, END, *[0] * (75 - len(row))] for row in rows], dtype=torch.int32)


@pytest.mark.parametrize("end", [2, END], ids=["the highest id", "the end's own id"])
def test_pooled_text_is_transformers(end: int) -> None:
    """Published configs say 2 for the end of the text and mean the highest id; later ones name it."""
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=32,
        projection_dim=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        eos_token_id=end,
    )
    module = CLIPTextModelWithProjection(config).eval()
    rows = ids([5, 6, 7], [9] * 75, [END, 3])  # short; full; and one where the end comes twice
    component = STABLE_DIFFUSION_XL.component("text_encoder_2")
    with torch.no_grad():
        states, pooled = Forward(component, module, Size(3))(rows)
        expected = module(rows.long(), output_hidden_states=True)
    torch.testing.assert_close(states, expected.hidden_states[-2])
    torch.testing.assert_close(pooled, expected.text_embeds)


@pytest.fixture(scope="module")
def source() -> Source:
    return open_source("tiny-xl")


def test_a_layer_whose_states_nobody_reads_is_not_computed(source: Source) -> None:
    """CLIP-L's last layer and final norm are dead weight in SDXL."""
    component = source.family.component("text_encoder")
    config = source.config(component)
    model = simplify(trace(component, config, Size(1, 128, 128)), "fp32")
    layers = {name.split(".")[2] for name in model.graph.initializers if name.startswith("encoder.layers.")}
    assert layers == {str(layer) for layer in range(config["num_hidden_layers"] - 1)}
    assert not any("final_layer_norm" in name for name in model.graph.initializers)


def test_baked_time_ids_are_those_of_the_size(source: Source) -> None:
    component, size = source.family.component("unet"), Size(2, 64, 96)
    module = build(component, source.config(component))
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    inputs = [torch.randn(spec.shape(size, source.config(component))) for spec in component.inputs[:-1]]
    time_ids = torch.tensor([[64.0, 96, 0, 0, 64, 96]] * 2)
    baked = component.without_inputs(frozenset({"time_ids"}))
    with torch.no_grad():
        expected = Forward(component, module, size)(*inputs, time_ids)
        torch.testing.assert_close(Forward(baked, module, size)(*inputs), expected)
    graph = trace(baked, source.config(component), size).graph
    assert [value.name for value in graph.inputs] == ["sample", "timestep", "encoder_hidden_states", "text_embeds"]
