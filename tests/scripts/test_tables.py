from __future__ import annotations

from turbo_webnn.runtime.verification.noise_floor import ROUNDING, NoiseFloor
from turbo_webnn.runtime.verification.parity import COMPONENT_GATES, Figures
from turbo_webnn.runtime.verification.report import ParityReport, Row
from turbo_webnn.runtime.verification.traced import Traced
from turbo_webnn.scripts.tables import parity_table


def test_an_error_above_the_floor_and_the_layer_that_made_it_are_told() -> None:
    figures = Figures(0.5, 0.004, 60.0, 0.99999, finite=True)
    report = ParityReport(
        rows=(Row("unet", "timestep 999", figures, COMPONENT_GATES["fp16"], figures, 999.0),),
        noise=(NoiseFloor("unet", 0.004, 0.002, ROUNDING, 1.5),),
        traced=(Traced("unet", "conv_in", 0.004, 8.0),),
        precision="fp16",
        source={"name": "here"},
        reference={"name": "there"},
        compared_with="SomePipeline",
        provider="cpu",
        environment={},
        seconds={"pytorch": 2.0},
    )
    assert parity_table(report).splitlines() == [
        "                 cases   PSNR dB     cosine  relative L2   max abs     SSIM  noise",
        "unet                 1      60.0  0.9999900     4.00e-03  5.00e-01            2.00",
        "FAILS unet: relative L2 4.00e-03 is 2.00 times PyTorch's in float16, 2.00e-03   gate: 1.5",
        f"{'where the two part':76}  relative L2    growth",
        f"{'  unet conv_in':76}     4.00e-03     8.00x",
        "parity FAILS: fp16 on cpu against there by SomePipeline (pytorch 2 s)",
    ]
