"""The one error that users see."""

from __future__ import annotations

LIBRARY_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError)
"""What libraries raise on values that they check late or not at all: they have no error of their own for that."""


class RequestError(Exception):
    """A request that cannot be served: one line that says what is wrong and what would be right.

    The command prints it without a traceback and exits 2. Everything else that escapes is a defect of ours.
    """

    def __init__(self, wrong: str, right: str = "") -> None:
        super().__init__(" ".join(f"{wrong}; {right}".split()) if right else " ".join(wrong.split()))
