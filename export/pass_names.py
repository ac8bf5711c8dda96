"""The names of the export's passes, and which of them can be left out. This module does not load torch."""

from __future__ import annotations

from collections.abc import Iterable

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.printable import printable

SIMPLIFYING = (
    "fold-weight-layout",
    "fold-constants",
    "drop-neutral",
    "merge-views",
    "fold-scale",
    "merge-equal-nodes",
    "lower-precision",
    "remove-unused-nodes",
    "name-nodes",
)
"""The passes of `export.passes.simplifying_passes`, in their order."""

BOUNDARY = ("blank-pictures", "set-boundary")
"""The passes of `export.passes.boundary_passes`, in their order. Quantisation runs before them."""

REQUIRED = {
    "fold-constants": "without it values have no static shapes, and constants are nodes",
    "lower-precision": "without it weights and boundary have not the types of the precision",
    "blank-pictures": "without it the safety checker has not the inputs and outputs of the layout",
    "set-boundary": "without it the graph has not the inputs and outputs of the layout",
}
"""The passes that cannot be left out, and why."""

SKIPPABLE = tuple(name for name in SIMPLIFYING if name not in REQUIRED)


def require_skippable(names: Iterable[str]) -> None:
    """Refuse names that are no passes, and names of passes that cannot be left out.

    Args:
        names: the names of the passes to leave out.

    Raises:
        RequestError: names the first such pass, and the passes that can be left out.

    Example:
        >>> require_skippable(["fold-scale"])
    """
    right = f"passes that can be left out are {', '.join(SKIPPABLE)}"
    for name in names:
        if name in REQUIRED:
            raise RequestError(f"the pass {name} cannot be left out: {REQUIRED[name]}", right)
        if name not in SKIPPABLE:
            raise RequestError(f"there is no pass {printable(name)!r}", right)
