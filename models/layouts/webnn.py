"""The project's own layout: the contract's names, types and shapes, for programs that read the manifest."""

from __future__ import annotations

from turbo_webnn.models.families.family import Family
from turbo_webnn.models.layouts.layout import Layout, Place

WEBNN = "webnn"


def webnn(family: Family) -> Layout:
    """The layout of a bundle of `family`."""
    places = {component.name: Place(f"{component.name}/model.onnx") for component in family.known}
    return Layout(WEBNN, family.name, places, reads_manifest=True)
