"""How a bundle's weights are to be quantised: by rule, by a recipe, or within a number of bytes."""

from __future__ import annotations

from dataclasses import dataclass

from turbo_webnn.export.quantize.grid import Method
from turbo_webnn.export.quantize.recipe import Recipe
from turbo_webnn.models.precision import Form


@dataclass(frozen=True)
class Quantization:
    """What is asked of a bundle's weights.

    Attributes:
        bits: of most weights.
        form: how products by a weight are written.
        budget: bytes that all graphs may take together, or None.
        recipe: the grids to use, or None where rules or the budget decide.
    """

    bits: int
    form: Form = "qdq"
    budget: int | None = None
    recipe: Recipe | None = None

    @property
    def scales(self) -> Method:
        """How scales are found: by search, where no recipe says otherwise."""
        return "search" if self.recipe is None else self.recipe.scales
