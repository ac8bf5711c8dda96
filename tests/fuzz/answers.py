"""What any input may do: it serves, or it is refused in one line; soon, and in little memory."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from turbo_webnn.models.errors import RequestError

LIMIT_S = 10
GROWTH_LIMIT_BYTES = 1_000_000_000

EXAMPLES = os.environ.get("FUZZ_EXAMPLES")
"""How many examples a test takes; where it is not set, a few, and the same ones in every run."""

SHORT = settings(
    max_examples=int(EXAMPLES or 60),
    derandomize=EXAMPLES is None,
    print_blob=EXAMPLES is not None,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
"""The profile of these tests."""

RANDOMS = st.randoms(use_true_random=False)
"""What mutations draw from, so that a failing example shrinks."""

Mutation = Callable[[Random, bytes], bytes]


def refusal_of(call: Callable[[], object]) -> str | None:
    """The line with which `call` refuses, or None where it serves; anything else fails."""
    before = _peak_bytes()
    with _time_limit():
        try:
            call()
        except RequestError as error:
            line = str(error)
            assert line
            assert len(line.splitlines()) == 1, line
            return line
        finally:
            assert _peak_bytes() - before < GROWTH_LIMIT_BYTES
    return None


def mutated(rng: Random, path: Path, mutation: Mutation, original: bytes) -> None:
    """Write `original`, damaged once or twice, to `path`."""
    data = original
    for _ in range(rng.choice((1, 1, 2))):
        data = mutation(rng, data)
    path.write_bytes(data)


@contextmanager
def _time_limit() -> Iterator[None]:
    def late(_number: int, _frame: object) -> None:
        raise AssertionError(f"no answer within {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _peak_bytes() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
