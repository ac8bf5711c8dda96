"""What a request that cannot be served is answered with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from turbo_webnn.models.errors import RequestError


def refusal(call: Callable[..., object], *arguments: Any, **options: Any) -> str:
    """The one line with which `call` refuses."""
    with pytest.raises(RequestError) as told:
        call(*arguments, **options)
    said = str(told.value)
    assert said
    assert "\n" not in said
    return said
