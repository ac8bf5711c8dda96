"""Whether image to image samples the latents of its picture, as diffusers' pipelines do, or takes their mean."""

from __future__ import annotations

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.errors import RequestError


def choose_posterior(bundle: Bundle, asked: bool | None = None) -> bool:
    """Whether the latents of pictures are sampled: `asked`, or the bundle's default where it is None.

    Raises:
        RequestError: where sampling is asked, and the bundle's encoder gives the mean only.
    """
    encoder = bundle.manifest.wiring.encoder
    chain = None if encoder is None else bundle.manifest.components.get(encoder)
    adapters = set() if chain is None else set(chain.adapters.values())
    if asked and not adapters:
        raise RequestError(
            f"{bundle.folder} has no variance of a picture's latents to sample with", "export with --sample-posterior"
        )
    return "sample" in adapters if asked is None else asked
