"""The precisions that a bundle can be written in, and the forms that quantised products can take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Precision = Literal["fp32", "fp16", "q8f16", "q4f16"]
"""Type of weights, arithmetic and the bundle's boundary."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

Form = Literal["qdq", "nbits"]
"""How products by a quantised weight are written: DequantizeLinear and MatMul, or com.microsoft's MatMulNBits."""

FORMS: tuple[Form, ...] = get_args(Form)


@dataclass(frozen=True)
class Numbers:
    """What the numbers of a precision are.

    Attributes:
        activations: numpy's name of the floating type of arithmetic and boundary.
        weight_bits: of most weights. Below 16 they are integers with scales, which the graph turns back into
            the type of the activations.
    """

    activations: str
    weight_bits: int

    @property
    def quantized(self) -> bool:
        """Whether weights are integers."""
        return self.weight_bits < 16


NUMBERS: dict[Precision, Numbers] = {
    "fp32": Numbers("float32", 32),
    "fp16": Numbers("float16", 16),
    "q8f16": Numbers("float16", 8),
    "q4f16": Numbers("float16", 4),
}

BOUNDARY_TYPE: dict[Precision, str] = {name: numbers.activations for name, numbers in NUMBERS.items()}
"""numpy's name of the floating type that crosses the boundary."""
