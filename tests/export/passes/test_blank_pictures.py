from __future__ import annotations

import numpy as np

from tests.graphs import graph, operators, run
from turbo_webnn.export.passes.blank_pictures import BlankPictures
from turbo_webnn.models.component import TensorSpec
from turbo_webnn.models.layouts.layout import Blanking

BLANKING = Blanking("found", TensorSpec("images", "float", ("batch", 2, 2, 3)), "out_images")


def test_pictures_in_which_something_is_found_come_back_black() -> None:
    model = graph(
        """g (float16[2,3] clip_input) => (int32[2] found) <int64[1] axis = {1}>
        { m = ReduceMax <keepdims = 0> (clip_input, axis) found = Cast <to = 6> (m) }"""
    )
    BlankPictures(BLANKING, (2, 2, 2, 3))(model)
    assert operators(model) == ["ReduceMax", "Cast", "Cast", "Sub", "Reshape", "Mul"]
    assert [value.name for value in (*model.graph.inputs, *model.graph.outputs)] == [
        "clip_input", "images", "found", "out_images",
    ]  # fmt: skip
    pictures = np.random.default_rng(0).random((2, 2, 2, 3)).astype(np.float16)
    found, blanked = run(model, clip_input=np.array([[0, 0, 0], [0, 1, 0]], np.float16), images=pictures)
    assert found.tolist() == [0, 1]
    np.testing.assert_array_equal(blanked[0], pictures[0])
    np.testing.assert_array_equal(blanked[1], 0)
