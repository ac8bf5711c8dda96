"""Which grid each weight gets, so that all fit into a number of bytes with the least error.

Greedy along each weight's lower convex hull: of all next steps the one is taken that saves the most error for a
byte. What it leaves is at most the last step that did not fit.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from turbo_webnn.export.quantize.choices import Choice
from turbo_webnn.export.quantize.grid import Grid

Key = TypeVar("Key", bound=Hashable)


def least_bytes(choices: Mapping[Key, Sequence[Choice]]) -> int:
    """The fewest bytes that all weights together can take."""
    return sum(min(choice.nbytes for choice in each) for each in choices.values())


def allocate(choices: Mapping[Key, Sequence[Choice]], budget: int) -> dict[Key, Grid]:
    """A grid for each weight; together they take at most `budget` bytes, which must be `least_bytes` or more."""
    hulls = {key: _hull(each) for key, each in choices.items()}
    left = budget - sum(hull[0].nbytes for hull in hulls.values())
    assert left >= 0
    taken = dict.fromkeys(hulls, 0)
    keys = list(hulls)
    # errors saved for a byte, largest first; of equal ones the earlier weight's, so that the outcome is one
    waiting = [(-_slope(hull, 0), index) for index, hull in enumerate(hulls.values()) if len(hull) > 1]
    heapq.heapify(waiting)
    while waiting:
        _, index = heapq.heappop(waiting)
        key = keys[index]
        hull, at = hulls[key], taken[key]
        step = hull[at + 1].nbytes - hull[at].nbytes
        if step > left:
            continue  # this weight stays where it is; a smaller step of another may still fit
        left -= step
        taken[key] = at + 1
        if at + 2 < len(hull):
            heapq.heappush(waiting, (-_slope(hull, at + 1), index))
    return {key: hull[taken[key]].grid for key, hull in hulls.items()}


def _hull(choices: Iterable[Choice]) -> list[Choice]:
    """The choices that are worth their bytes, leanest first: each step saves less error for a byte than the last."""
    hull: list[Choice] = []
    for choice in sorted(choices, key=lambda choice: (choice.nbytes, choice.error)):
        if hull and choice.error >= hull[-1].error:
            continue
        while len(hull) > 1 and _saved(hull[-2], hull[-1]) <= _saved(hull[-2], choice):
            hull.pop()
        hull.append(choice)
    return hull


def _slope(hull: Sequence[Choice], at: int) -> float:
    return _saved(hull[at], hull[at + 1])


def _saved(lean: Choice, rich: Choice) -> float:
    """Error saved for a byte by going from `lean` to `rich`."""
    return (lean.error - rich.error) / (rich.nbytes - lean.nbytes)
