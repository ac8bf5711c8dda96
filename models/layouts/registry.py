"""The layouts by name: the project's own for any family, and those of published programs."""

from __future__ import annotations

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.registry import FAMILIES, find_family
from turbo_webnn.models.layouts.layout import Layout
from turbo_webnn.models.layouts.optimum import OPTIMUM
from turbo_webnn.models.layouts.ort_web_demo import ORT_WEB_DEMO
from turbo_webnn.models.layouts.webnn import WEBNN, webnn
from turbo_webnn.models.layouts.webnn_developer_preview import WEBNN_DEVELOPER_PREVIEW
from turbo_webnn.models.precision import Form, Precision

DEFAULT = WEBNN

LAYOUTS = (*map(webnn, FAMILIES), *WEBNN_DEVELOPER_PREVIEW, ORT_WEB_DEMO, *OPTIMUM)


def layout_of(name: str, family: str, precision: Precision, form: Form | None = None) -> Layout:
    """The layout `name` for `family`, `precision` and the form `form` of quantised products.

    Raises:
        RequestError: if there is none; it lists the layouts of the family and their precisions.
    """
    installed = None if family in {own_family.name for own_family in FAMILIES} else find_family(family)
    layouts = LAYOUTS if installed is None else (*LAYOUTS, webnn(installed))
    named = [layout for layout in layouts if layout.name == name]
    for layout in named:
        if layout.family == family and precision in layout.precisions and (form or layout.forms[0]) in layout.forms:
            return layout
    available = dict.fromkeys(
        f"{layout.name} in {' or '.join(layout.precisions)}" for layout in layouts if layout.family == family
    )
    if not named:
        wrong = f"there is no layout {name!r}"
    elif family not in {layout.family for layout in named}:
        wrong = f"the layout {name} is none for {family}"
    else:
        wrong = f"the layout {name} has no {family} in {precision}"
    raise RequestError(wrong, f"{family} has {'; '.join(available)}")
