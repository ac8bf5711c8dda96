"""The names of an export's passes, and which of them can be left out. Read before torch is loaded."""

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
"""The passes of `export.passes.pipeline`, in their order."""

SETTLING = ("blank-pictures", "set-boundary")
"""The passes of `export.passes.boundary`, in their order; quantisation runs before them."""

REQUIRED = {
    "fold-constants": "without it values have no static shapes, and constants are nodes",
    "lower-precision": "without it weights and boundary have not the types of the precision",
    "blank-pictures": "without it the safety checker has not the inputs and outputs of the layout",
    "set-boundary": "without it the graph has not the inputs and outputs of the layout",
}
"""The passes that cannot be left out, and why."""

SKIPPABLE = tuple(name for name in SIMPLIFYING if name not in REQUIRED)


def require_skippable(names: Iterable[str]) -> None:
    """Refuse the first name that is no pass, or is one that cannot be left out.

    Args:
        names: of passes to leave out.

    Raises:
        RequestError: names the pass, and those that can be left out.

    Example:
        >>> require_skippable(["fold-scale"])
    """
    right = f"passes that can be left out are {', '.join(SKIPPABLE)}"
    for name in names:
        if name in REQUIRED:
            raise RequestError(f"the pass {name} cannot be left out: {REQUIRED[name]}", right)
        if name not in SKIPPABLE:
            raise RequestError(f"there is no pass {printable(name)!r}", right)
