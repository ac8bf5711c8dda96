"""The choice of the reference of a verification. The modules of PyTorch are imported only where they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from turbo_webnn.models.component import Size
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.precision import Precision
from turbo_webnn.models.source import Source
from turbo_webnn.runtime.verification.evidence import ReferenceSide

if TYPE_CHECKING:
    from turbo_webnn.runtime.reference.reference import Reference


def source_reference(source: Source, size: Size) -> ReferenceSide:
    """The reference in float32: diffusers' own pipelines, or the modules one by one where diffusers lacks the class.

    Raises:
        RequestError: where PyTorch is not installed, or the checkpoint is of no known family.
    """
    with _pytorch():
        from turbo_webnn.runtime.reference.loading import pipeline_class
        from turbo_webnn.runtime.reference.pipeline_reference import PipelineReference
    if pipeline_class(source.family) is None:
        return modules_reference(source, size, "fp32")
    return PipelineReference(source, size)


def modules_reference(source: Source, size: Size, precision: Precision) -> Reference:
    """The modules of `source`, which run one by one in `precision`.

    Raises:
        RequestError: where PyTorch is not installed.
    """
    with _pytorch():
        from turbo_webnn.runtime.reference.reference import Reference
    return Reference(source, size, precision)


@contextmanager
def _pytorch() -> Iterator[None]:
    """Translate the error of a missing package in the block."""
    try:
        yield
    except ImportError as error:
        raise RequestError(
            f"verify compares with PyTorch, and {error.name} is not installed",
            "pip install 'turbo-webnn[export]'",
        ) from error
