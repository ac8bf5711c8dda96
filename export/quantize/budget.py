"""Chooses the recipe with the least error for a number of bytes, over all components of a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from turbo_webnn.export.quantize.allocate import allocate, least_bytes
from turbo_webnn.export.quantize.choices import Choice
from turbo_webnn.export.quantize.grid import Grid
from turbo_webnn.export.quantize.plan import Quantization
from turbo_webnn.export.quantize.recipe import Recipe
from turbo_webnn.models.errors import RequestError


@dataclass(frozen=True)
class Costs:
    """The costs of a component's weights: the choices by weight name, and the bytes that do not depend on them."""

    choices: Mapping[str, list[Choice]]
    fixed: int


def choose_recipe(quantization: Quantization, by_component: Mapping[str, Costs]) -> Quantization:
    """`quantization` with the recipe that has the least error for its budget.

    Raises:
        RequestError: if the budget is too small for these components.
    """
    assert quantization.budget is not None
    pooled = {
        (component, name): weight_choices
        for component, costs in by_component.items()
        for name, weight_choices in costs.choices.items()
    }
    fixed = sum(costs.fixed for costs in by_component.values())
    least = fixed + least_bytes(pooled)
    if least > quantization.budget:
        raise RequestError(
            f"the graphs take {least} bytes at the least, more than --size-budget {quantization.budget}",
            f"give {least} or more" + ("" if quantization.bits == 4 else ", or --precision q4f16"),
        )
    allocation = allocate(pooled, quantization.budget - fixed)
    grids: dict[str, dict[str, Grid]] = {component: {} for component in by_component}
    for (component, name), grid in allocation.items():
        grids[component][name] = grid
    return replace(quantization, recipe=Recipe(grids))
