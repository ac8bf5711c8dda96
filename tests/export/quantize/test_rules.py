from __future__ import annotations

import numpy as np
import pytest

from tests.export.quantize.bound import bound
from turbo_webnn.export.quantize.grid import KEPT, Grid
from turbo_webnn.export.quantize.rules import options_for
from turbo_webnn.export.quantize.sites import Site, sites
from turbo_webnn.export.weights import LazyWeight
from turbo_webnn.models.component import Component
from turbo_webnn.models.families.stable_diffusion import TEXT_ENCODER, UNET, VAE_DECODER
from turbo_webnn.models.parts.weight_rules import NAMED, OTHERS

PRODUCT = "g (float16[1,5,256] x, float16[256,64] w) => (float16[1,5,64] y) { y = MatMul(x, w) }"
(SITE,) = sites(bound(PRODUCT, np.zeros((256, 64), np.float16), turned=True).graph)


def named(*names: str) -> list[Site]:
    """Sites of one product under other names."""
    return [Site(SITE.node, LazyWeight(SITE.rows._stored, SITE.rows._view, name)) for name in names]


NAMES = (
    "conv_in.weight",
    "time_embedding.linear_1.weight",
    "down_blocks.0.attentions.0.proj_in.weight",
    "down_blocks.1.resnets.0.conv_shortcut.weight",
    "mid_block.resnets.0.conv1.weight",
    "up_blocks.2.resnets.0.conv_shortcut.weight",
    "up_blocks.3.resnets.0.conv1.weight",
    "up_blocks.3.resnets.2.conv_shortcut.weight",
    "conv_out.weight",
)
FOUR, EIGHT = Grid(4, 128), Grid(8, 128)


@pytest.mark.parametrize(
    ("component", "bits", "grids"),
    [
        (UNET, 4, [KEPT, EIGHT, EIGHT, FOUR, FOUR, FOUR, EIGHT, KEPT, KEPT]),
        (UNET, 8, [KEPT, EIGHT, KEPT, EIGHT, EIGHT, EIGHT, KEPT, KEPT, KEPT]),
        (VAE_DECODER, 4, [KEPT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, KEPT, KEPT]),
        (VAE_DECODER, 8, [KEPT, EIGHT, KEPT, EIGHT, EIGHT, EIGHT, KEPT, KEPT, KEPT]),
    ],
)
def test_what_shows_is_finer(component: Component, bits: int, grids: list[Grid]) -> None:
    options = options_for(component, named(*NAMES), bits)
    assert {name: option.by_rule for name, option in options.items()} == dict(zip(NAMES, grids, strict=True))


@pytest.mark.parametrize("prefix", ["", "text_model."])
def test_what_a_text_encoder_carries_from_token_to_token_is_finer(prefix: str) -> None:
    names = {
        "encoder.layers.0.mlp.fc1.weight": EIGHT,  # the first layer
        "encoder.layers.1.self_attn.q_proj.weight": FOUR,
        "encoder.layers.1.self_attn.k_proj.weight": FOUR,
        "encoder.layers.1.self_attn.v_proj.weight": EIGHT,
        "encoder.layers.1.self_attn.out_proj.weight": EIGHT,
        "encoder.layers.1.mlp.fc2.weight": FOUR,
    }
    options = options_for(TEXT_ENCODER, named(*(prefix + name for name in names), "text_projection.weight"), 4)
    assert [option.by_rule for option in options.values()] == [*names.values(), EIGHT]


def test_a_budget_chooses_among_all_and_knows_what_shows() -> None:
    options = options_for(UNET, named(*NAMES), 4)
    fours, eights = ([Grid(bits, block) for block in (128, 64, 32, 16)] for bits in (4, 8))
    for name, emphasis in (("mid_block.resnets.0.conv1.weight", 1), ("time_embedding.linear_1.weight", NAMED)):
        assert options[name].grids == (*fours, *eights, KEPT)
        assert options[name].emphasis == emphasis
    assert options["conv_in.weight"].grids == (KEPT,)
    assert options_for(VAE_DECODER, named("mid_block.resnets.0.conv1.weight"), 4).popitem()[1].emphasis == OTHERS
    assert options_for(UNET, named(*NAMES), 8)["mid_block.resnets.0.conv1.weight"].grids == (*eights, KEPT)
