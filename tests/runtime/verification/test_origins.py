from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from tests.refusal import refusal
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.provenance import Provenance
from turbo_webnn.models.source import open_source
from turbo_webnn.runtime.verification.origins import differences
from turbo_webnn.runtime.verification.verify import require_same_family

BASE: dict[str, Any] = {"name": "turbo", "revision": None, "variant": None, "license": None}
LORA: dict[str, Any] = {"name": "a", "sha256": "0123456789abcdef", "weight": 0.5, "revision": None, "license": None}


def origin(**values: Any) -> Provenance:
    return cast("Provenance", BASE | values)


@pytest.mark.parametrize(
    ("made", "compared", "said"),
    [
        (origin(), origin(name="other", license="mit"), []),
        (origin(loras=[LORA]), origin(loras=[LORA | {"name": "copy"}]), []),
        (
            origin(loras=[LORA]),
            origin(),
            ["the bundle was exported with --lora sha256 0123456789ab… at 0.5, the reference has none"],
        ),
        (
            origin(loras=[LORA]),
            origin(loras=[LORA | {"weight": 1.0}]),
            [
                "the bundle was exported with --lora sha256 0123456789ab… at 0.5, "  # noqa: ISC004 - one line
                "the reference has sha256 0123456789ab… at 1"
            ],
        ),
        (
            origin(vae=BASE | {"name": "fix"}, scheduler={"timestep_spacing": "trailing"}),
            origin(),
            [
                "the bundle was exported with --scheduler or --timestep-spacing trailing, the reference has none",
                "the bundle was exported with --vae fix, the reference has none",
            ],
        ),
    ],
)
def test_options_that_differ(made: Provenance, compared: Provenance, said: list[str]) -> None:
    assert differences(made, compared) == said


def test_a_reference_of_another_family(tiny_fp16: Path) -> None:
    said = refusal(require_same_family, Bundle.open(tiny_fp16), open_source("tiny-xl"))
    assert said.endswith(
        "is of the family stable-diffusion, the reference of stable-diffusion-xl; give the checkpoint that the bundle "
        "was made from"
    )
