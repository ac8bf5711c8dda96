"""The quantisation of a bundle's weights: by rules, by a recipe, or within a number of bytes."""

from __future__ import annotations

from dataclasses import dataclass

from turbo_webnn.export.quantize.grid import Method
from turbo_webnn.export.quantize.recipe import Recipe
from turbo_webnn.models.precision import Form


@dataclass(frozen=True)
class Quantization:
    """How the weights of a bundle are quantised.

    Attributes:
        bits: the bits of most weights.
        form: how products by a weight are written.
        budget: the most bytes of all graphs together, or None.
        recipe: the grids to use; None if rules or the budget decide.
    """

    bits: int
    form: Form = "qdq"
    budget: int | None = None
    recipe: Recipe | None = None

    @property
    def scales(self) -> Method:
        """How scales are found: by search, unless a recipe states another method."""
        return "search" if self.recipe is None else self.recipe.scales
