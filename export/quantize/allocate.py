"""Chooses a grid for each weight, so that all weights fit into a number of bytes with the least error.

The algorithm is greedy along the lower convex hull of each weight's choices. It takes the next step of the weight where
an additional byte saves the most error. The unused bytes are fewer than the last step that did not fit needs.
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
    return sum(min(choice.nbytes for choice in weight_choices) for weight_choices in choices.values())


def allocate(choices: Mapping[Key, Sequence[Choice]], budget: int) -> dict[Key, Grid]:
    """Choose a grid for each weight. Together they take at most `budget` bytes, which must be `least_bytes` or more."""
    hulls = {key: _hull(weight_choices) for key, weight_choices in choices.items()}
    bytes_left = budget - sum(hull[0].nbytes for hull in hulls.values())
    assert bytes_left >= 0
    positions = dict.fromkeys(hulls, 0)
    keys = list(hulls)
    # errors saved per byte, largest first; of equal ones the earlier weight first, so that the result is unique
    steps = [(-_slope(hull, 0), index) for index, hull in enumerate(hulls.values()) if len(hull) > 1]
    heapq.heapify(steps)
    while steps:
        _, index = heapq.heappop(steps)
        key = keys[index]
        hull, position = hulls[key], positions[key]
        step_bytes = hull[position + 1].nbytes - hull[position].nbytes
        if step_bytes > bytes_left:
            continue  # this weight keeps its grid; a smaller step of another weight may still fit
        bytes_left -= step_bytes
        positions[key] = position + 1
        if position + 2 < len(hull):
            heapq.heappush(steps, (-_slope(hull, position + 1), index))
    return {key: hull[positions[key]].grid for key, hull in hulls.items()}


def _hull(choices: Iterable[Choice]) -> list[Choice]:
    """The choices on the lower convex hull, fewest bytes first: each step saves less error per byte than the last."""
    hull: list[Choice] = []
    for choice in sorted(choices, key=lambda choice: (choice.nbytes, choice.error)):
        if hull and choice.error >= hull[-1].error:
            continue
        while len(hull) > 1 and _saved_error(hull[-2], hull[-1]) <= _saved_error(hull[-2], choice):
            hull.pop()
        hull.append(choice)
    return hull


def _slope(hull: Sequence[Choice], position: int) -> float:
    return _saved_error(hull[position], hull[position + 1])


def _saved_error(smaller: Choice, larger: Choice) -> float:
    """Error saved per byte by the step from `smaller` to `larger`."""
    return (smaller.error - larger.error) / (larger.nbytes - smaller.nbytes)
