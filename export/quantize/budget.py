"""The recipe of least error for a number of bytes, over all components of a bundle."""

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
    """What a component's weights would cost: choices by name, and the bytes that are none of a choice's."""

    choices: Mapping[str, list[Choice]]
    fixed: int


def within_budget(asked: Quantization, by_component: Mapping[str, Costs]) -> Quantization:
    """`asked` with the recipe of least error for its budget.

    Raises:
        RequestError: where the budget is too small for these components.
    """
    assert asked.budget is not None
    pooled = {
        (component, name): each for component, costs in by_component.items() for name, each in costs.choices.items()
    }
    fixed = sum(costs.fixed for costs in by_component.values())
    least = fixed + least_bytes(pooled)
    if least > asked.budget:
        raise RequestError(
            f"the graphs take {least} bytes at the least, more than --size-budget {asked.budget}",
            f"give {least} or more" + ("" if asked.bits == 4 else ", or --precision q4f16"),
        )
    chosen = allocate(pooled, asked.budget - fixed)
    grids: dict[str, dict[str, Grid]] = {component: {} for component in by_component}
    for (component, name), grid in chosen.items():
        grids[component][name] = grid
    return replace(asked, recipe=Recipe(grids))
