"""Places of VAE encoders whose graphs give mean and variance of the latents, so that consumers can sample them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from turbo_webnn.models.chain import Adapter
from turbo_webnn.models.component import Component, TensorSpec
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.layouts.layout import Layout, Place
from turbo_webnn.models.parts.autoencoder_kl import AutoencoderKLEncoder

_LATENTS = "latent_sample"


def with_moments(place: Place, adapter: Adapter) -> Place:
    """`place` of an AutoencoderKLEncoder with mean and variance as output. `adapter` is the default of consumers."""
    return replace(place, outputs=_moments, adapters={_LATENTS: adapter})


def with_posterior(layout: Layout, family: Family) -> Layout:
    """`layout` with the latents of pictures sampled by default.

    Raises:
        RequestError: if the family encodes no pictures, or has another VAE, or the layout has no encoder.
    """
    encoder = family.wiring.encoder
    if encoder is None or not isinstance(family.component(encoder).part, AutoencoderKLEncoder):
        raise RequestError(f"{family.name} has no encoder that gives a variance", "drop --sample-posterior")
    if encoder not in layout.places:
        raise RequestError(f"the layout {layout.name} has no {encoder}", "drop --sample-posterior, or the layout")
    place = with_moments(layout.places[encoder], "sample")
    return replace(layout, places={**layout.places, encoder: place})


def _moments(component: Component, _config: Mapping[str, Any]) -> dict[str, TensorSpec]:
    assert isinstance(component.part, AutoencoderKLEncoder)
    return {component.outputs[0].name: component.part.moments}
