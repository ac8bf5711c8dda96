"""The recipe: which grid each weight of each component is on, as a file that another export can follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.quantize.grid import BLOCKS, METHODS, Grid, Method
from models.errors import RequestError
from models.json_file import read_json, write_json

if TYPE_CHECKING:  # a request is read and refused before torch is loaded
    from export.quantize.sites import Site

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

    @classmethod
    def from_json(cls, held: Mapping[str, Any], where: str) -> Recipe:
        """Read a recipe; RequestError where `held`, which is said to come from `where`, is none."""
        right = "give a recipe.json that an export wrote"
        if held.get("format") != FORMAT:
            raise RequestError(f"{where} has format {held.get('format')!r}, this reads {FORMAT}", right)
        try:
            components = grids_of(held["components"])
            scales = held["scales"]
        except (KeyError, TypeError, AttributeError) as error:
            raise RequestError(f"{where} is not a recipe ({error})", right) from error
        unknown = [grid for grids in components.values() for grid in grids.values() if not _is_known(grid)]
        if unknown or scales not in METHODS:
            raise RequestError(f"{where} asks for {unknown[0] if unknown else scales!r}", right)
        return cls(components, scales)

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
    return Recipe.from_json(read_json(path), str(path))


def grids_of(held: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Grid]]:
    """The grids by component and weight, each being held as its attributes."""
    return {component: {name: Grid(**grid) for name, grid in grids.items()} for component, grids in held.items()}


def _is_known(grid: Grid) -> bool:
    return grid.bits in (4, 8, 16) and (grid.block is None or grid.block in BLOCKS)
