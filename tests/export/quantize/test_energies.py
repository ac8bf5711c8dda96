from __future__ import annotations

import safetensors.torch
import torch

from turbo_webnn.export.forwards import Forward
from turbo_webnn.export.probes import SIZE, make_probe, observe
from turbo_webnn.export.quantize.energies import ChannelWatch
from turbo_webnn.export.quantize.fit import Energies
from turbo_webnn.models.component import Component
from turbo_webnn.models.families.stable_diffusion import TEXT_ENCODER, UNET
from turbo_webnn.models.modules import build
from turbo_webnn.models.source import open_source

SOURCE = open_source("tiny")


def measured(component: Component) -> Energies:
    (watch,) = observe(component, SOURCE, lambda forward: (ChannelWatch(forward),))
    return watch.relative()


def test_energies_are_the_mean_squares_of_what_enters() -> None:
    module = build(TEXT_ENCODER, SOURCE.config(TEXT_ENCODER))
    stored = safetensors.torch.load_file(SOURCE.folder / "text_encoder/model.safetensors")
    module.load_state_dict({name.removeprefix("text_model."): value for name, value in stored.items()})
    entered: dict[str, torch.Tensor] = {}
    for name, layer in module.named_modules():
        layer.register_forward_pre_hook(
            lambda _layer, given, name=name: entered.update({name: given[0]} if given else {})
        )
    with torch.no_grad():
        Forward(TEXT_ENCODER, module, SIZE)(make_probe(TEXT_ENCODER, SOURCE)["input_ids"])
    energies = measured(TEXT_ENCODER)
    for name in ("encoder.layers.0.self_attn.q_proj", "encoder.layers.1.mlp.fc2"):
        expected = entered[name].square().mean((0, 1))
        torch.testing.assert_close(energies[f"{name}.weight"], expected / expected.mean(), rtol=1e-2, atol=1e-3)


def test_every_product_and_convolution_is_seen() -> None:
    energies = measured(UNET)
    weights = SOURCE.checkpoint(UNET).tensors
    seen = {name for name, tensor in weights.items() if name.endswith("weight") and len(tensor.shape) > 1}
    assert energies.keys() == seen
    for name, energy in energies.items():
        assert energy.shape == (weights[name].shape[1],)
        assert (energy > 0).all()
        assert 0.99 < energy.mean() < 1.01
