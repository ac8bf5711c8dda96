"""Draw with optimum's own pipelines. Run by the Python of an environment that has optimum-onnx, and no other.

Usage: optimum_draw.py BUNDLE LATENTS.npy PROMPT OUT.npy

LATENTS is unit noise, [batch, 4, h, w]; OUT the pictures of one step, [batch, H, W, 3] in 0…1.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from optimum.onnxruntime import ORTStableDiffusionPipeline, ORTStableDiffusionXLPipeline

PIPELINES = {
    "StableDiffusionPipeline": ORTStableDiffusionPipeline,
    "StableDiffusionXLPipeline": ORTStableDiffusionXLPipeline,
}


def main(bundle: str, latents: str, prompt: str, out: str) -> None:
    index = json.loads((Path(bundle) / "model_index.json").read_text())
    pipeline = PIPELINES[index["_class_name"]].from_pretrained(bundle)
    pipeline.set_progress_bar_config(disable=True)
    noise = np.load(latents)
    drawn = pipeline(
        prompt,
        height=8 * noise.shape[2],
        width=8 * noise.shape[3],
        num_inference_steps=1,
        guidance_scale=0.0,
        num_images_per_prompt=len(noise),
        latents=torch.from_numpy(noise).to(pipeline.unet.dtype),
        output_type="np",
    )
    np.save(out, drawn.images)


if __name__ == "__main__":
    main(*sys.argv[1:])
