"""The recipe: a file with the grid of each weight of each component, which another export can use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from turbo_webnn.export.quantize.grid import Grid, Method
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import convert_json, read_json, require_same_keys, write_json
from turbo_webnn.models.printable import printable

if TYPE_CHECKING:  # requests are read and refused before torch is loaded
    from turbo_webnn.export.quantize.sites import Site

FORMAT = 1
"""Version of the file. Other versions are refused."""

RECIPE = "report/recipe.json"
"""The path of the recipe in a bundle that was made with it."""


@dataclass(frozen=True)
class Recipe:
    """Grids by component and weight, and the method that finds their scales."""

    components: Mapping[str, Mapping[str, Grid]]
    scales: Method = "search"

    def to_json(self) -> dict[str, Any]:
        """The recipe as it is written to the file."""
        components_json = {
            component: {name: asdict(grid) for name, grid in grids.items()}
            for component, grids in self.components.items()
        }
        return {"format": FORMAT, "scales": self.scales, "components": components_json}

    def write(self, folder: Path) -> None:
        """Write the recipe into the bundle at `folder`; OSError if that fails."""
        write_json(folder / RECIPE, self.to_json())

    def grids_for(self, component: str, sites: Iterable[Site]) -> dict[str, Grid]:
        """The grids of the component's weights.

        Raises:
            RequestError: if the recipe is for other weights: it lacks a weight, names another weight, or has blocks
                that do not divide a weight.
        """
        right = "give one of the same architecture"
        grids = dict(self.components.get(component, {}))
        by_name = {site.name: site for site in sites}
        mismatch = next((name for name in [*by_name, *grids] if (name in by_name) != (name in grids)), None)
        if mismatch is not None:
            wrong = "names" if mismatch in grids else "lacks"
            raise RequestError(f"the recipe {wrong} {component}'s {mismatch}", right)
        for name, grid in grids.items():
            if not grid.kept and grid not in by_name[name].grids(grid.bits):
                raise RequestError(f"the recipe puts {component}'s {name} on {grid}", right)
        return grids


def read_recipe(path: Path) -> Recipe:
    """The recipe in the file at `path`; RequestError if the file is missing or is no recipe."""
    right = "give a recipe.json that an export wrote"
    recipe_json = read_json(path, dict[str, Any], right)
    version = recipe_json.get("format")
    if version != FORMAT:
        raise RequestError(f"{path} has format {printable(repr(version), 40)}, this reads {FORMAT}", right)
    recipe = convert_json(recipe_json, Recipe, str(path), right)
    require_same_keys(recipe_json, recipe.to_json(), str(path), right)
    return recipe
