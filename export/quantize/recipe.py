"""The recipe: which grid each weight of each component is on, as a file that another export can follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from turbo_webnn.export.quantize.grid import Grid, Method
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import convert_json, read_json, require_same_keys, write_json
from turbo_webnn.models.printable import printable

if TYPE_CHECKING:  # a request is read and refused before torch is loaded
    from turbo_webnn.export.quantize.sites import Site

FORMAT = 1
"""Version of the file; another is refused."""

RECIPE = "report/recipe.json"
"""Where a bundle keeps the recipe that it was made by."""


@dataclass(frozen=True)
class Recipe:
    """Grids by component and weight, and how scales are found on them."""

    components: Mapping[str, Mapping[str, Grid]]
    scales: Method = "search"

    def to_json(self) -> dict[str, Any]:
        """The recipe as it is written."""
        held = {
            component: {name: asdict(grid) for name, grid in grids.items()}
            for component, grids in self.components.items()
        }
        return {"format": FORMAT, "scales": self.scales, "components": held}

    def write(self, folder: Path) -> None:
        """Write the recipe into the bundle at `folder`; OSError where that fails."""
        write_json(folder / RECIPE, self.to_json())

    def grids_for(self, component: str, sites: Iterable[Site]) -> dict[str, Grid]:
        """The grids of the component's weights.

        Raises:
            RequestError: where the recipe is for other weights: it lacks one, names another, or has blocks that do
                not divide one.
        """
        right = "give one of the same architecture"
        grids = dict(self.components.get(component, {}))
        asked = {site.name: site for site in sites}
        other = next((name for name in [*asked, *grids] if (name in asked) != (name in grids)), None)
        if other is not None:
            wrong = "names" if other in grids else "lacks"
            raise RequestError(f"the recipe {wrong} {component}'s {other}", right)
        for name, grid in grids.items():
            if not grid.kept and grid not in asked[name].grids(grid.bits):
                raise RequestError(f"the recipe puts {component}'s {name} on {grid}", right)
        return grids


def read_recipe(path: Path) -> Recipe:
    """The recipe in the file at `path`; RequestError where it is missing or is none."""
    right = "give a recipe.json that an export wrote"
    value = read_json(path, dict[str, Any], right)
    if value.get("format") != FORMAT:
        raise RequestError(f"{path} has format {printable(repr(value.get('format')), 40)}, this reads {FORMAT}", right)
    recipe = convert_json(value, Recipe, str(path), right)
    require_same_keys(value, recipe.to_json(), str(path), right)
    return recipe
