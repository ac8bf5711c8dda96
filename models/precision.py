"""The precisions that a bundle can be written in."""

from __future__ import annotations

from typing import Literal, get_args

Precision = Literal["fp32", "fp16"]
"""Type of weights, arithmetic and the bundle's boundary."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

BOUNDARY_TYPE: dict[Precision, str] = {"fp32": "float32", "fp16": "float16"}
"""numpy's name of the floating type that crosses the boundary."""
