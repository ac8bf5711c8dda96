"""The pipeline: its names, what can be left out, and conditions that do not hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from tests.conftest import exported, run_command
from tests.graphs import graph, operators, run
from tests.refusal import refusal
from turbo_webnn.export.job import BundleJob
from turbo_webnn.export.pass_names import REQUIRED, SIMPLIFYING, SKIPPABLE
from turbo_webnn.export.passes import run_passes, simplify, simplifying_passes
from turbo_webnn.export.passes.drop_neutral import DropNeutral
from turbo_webnn.export.passes.lower_precision import LowerPrecision
from turbo_webnn.export.passes.merge_views import MergeViews
from turbo_webnn.export.passes.name_nodes import NameNodes
from turbo_webnn.export.passes.set_boundary import SetBoundary
from turbo_webnn.export.request import ExportRequest
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.child_process import to_line
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import parse_json
from turbo_webnn.models.layouts.layout import Port
from turbo_webnn.models.source import open_source

# one thing for each pass to do: weights in another layout, a product by 1, two views, a scale, two equal nodes
TEXT = """g (float[2,3] x) => (float[2,4] y)
<float[4,3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, float[1] one = {1}, float half = {0.5},
 int64[1] flat = {6}, int64[2] square = {2, 3}>
{ t = Transpose(w) m = Mul(x, one) f = Reshape(m, flat) s = Reshape(f, square) p = MatMul(s, t) h = Mul(p, half)
  a = Relu(h) b = Relu(h) y = Add(a, b) unread = Sin(x) }"""


def test_the_names_are_those_of_the_pipeline() -> None:
    assert tuple(simplifying_passes("fp16")) == SIMPLIFYING
    assert set(SIMPLIFYING) - set(simplifying_passes("fp32")) == {"lower-precision"}
    assert set(SKIPPABLE) == set(SIMPLIFYING) - set(REQUIRED)


def test_everything_folds() -> None:
    assert operators(simplify(graph(TEXT), "fp32")) == ["MatMul", "Relu", "Add"]


@pytest.mark.parametrize("skip", [*([name] for name in SKIPPABLE), SKIPPABLE])
def test_without_a_pass_the_graph_computes_the_same(skip: list[str]) -> None:
    x = np.array([[1, -2, 3], [-4, 5, -6]], np.float32)
    model = simplify(graph(TEXT), "fp32", skip=skip)
    np.testing.assert_allclose(run(model, x=x)[0], run(graph(TEXT), x=x)[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "left"),
    [("drop-neutral", "Mul"), ("merge-views", "Reshape"), ("fold-scale", "Mul")],
)
def test_a_pass_that_is_left_out_leaves_its_nodes(name: str, left: str) -> None:
    assert left in operators(simplify(graph(TEXT), "fp32", skip=[name]))


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("fold-scales", "there is no pass 'fold-scales'; passes that can be left out are fold-weight-layout, "),
        ("two\nlines", "there is no pass 'two lines'; "),
        ("lower-precision", "the pass lower-precision cannot be left out: "),
        ("set-boundary", "the pass set-boundary cannot be left out: "),
    ],
)
def test_other_names_are_refused_in_one_line(tmp_path: Path, name: str, start: str) -> None:
    message = refusal(ExportRequest, tmp_path / "bundle", skip_passes=("fold-scale", name))
    assert message.startswith(start)
    assert message.endswith(", ".join(SKIPPABLE))


@pytest.mark.parametrize("wrong", ["fold-scale", [1], None])
def test_names_are_a_list_of_texts(tmp_path: Path, wrong: Any) -> None:
    assert refusal(ExportRequest, tmp_path / "bundle", skip_passes=wrong).endswith("give a list of texts")


def test_names_reach_the_process_that_exports(tmp_path: Path) -> None:
    request = ExportRequest(tmp_path / "bundle", components=("unet",), skip_passes=("fold-scale",))
    line = to_line(BundleJob(request.plan(open_source("tiny")), tmp_path))
    assert parse_json(line, BundleJob, "the job").plan.request.skip_passes == ("fold-scale",)


def test_the_command_leaves_a_pass_out(tmp_path: Path) -> None:
    whole = exported(tmp_path / "whole", "--component", "text_encoder")
    without = exported(tmp_path / "without", "--component", "text_encoder", "--skip-pass", "merge-views")
    nodes = [Bundle.open(bundle).chain("text_encoder").graphs[0].nodes for bundle in (whole, without)]
    assert nodes[0] < nodes[1]


def test_the_command_refuses_another_name(tmp_path: Path) -> None:
    done = run_command("export", "tiny", "-o", tmp_path / "bundle", "--skip-pass", "fold-scales")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert all(name in done.stderr for name in SKIPPABLE)
    assert not (tmp_path / "bundle").exists()


class _Refusing(ir.passes.InPlacePass):
    def call(self, model: ir.Model) -> ir.passes.PassResult:
        raise RequestError("the weight is damaged")


class _Idle(ir.passes.InPlacePass):
    def call(self, model: ir.Model) -> ir.passes.PassResult:
        return ir.passes.PassResult(model, modified=False)


def test_an_error_in_a_pass_is_raised_as_it_is() -> None:
    with pytest.raises(RequestError, match="the weight is damaged"):
        run_passes(graph(TEXT), [_Idle(), _Refusing()])
    with pytest.raises(ir.passes.PreconditionError, match="x has the type"):
        run_passes(_untyped(), [LowerPrecision()])


def test_no_passes_change_nothing() -> None:
    model = graph(TEXT)
    before = operators(model)
    run_passes(model, [])
    assert operators(model) == before


def _untyped() -> ir.Model:
    model = graph("g (float[2] x) => (float[2] y) { y = Relu(x) }")
    model.graph.inputs[0].type = None
    return model


def test_a_boundary_without_a_type_is_refused() -> None:
    with pytest.raises(ir.passes.PreconditionError, match="x has no type or shape"):
        SetBoundary({"x": Port("sample", "float16")})(_untyped())


@pytest.mark.parametrize(
    ("rewrite", "body", "message"),
    [
        (DropNeutral(), "a = Mul(x, one) y = Relu(a)", "Mul .*changes nothing"),
        (MergeViews(), "f = Reshape(x, flat) a = Reshape(f, square) y = Relu(a)", "Reshape .*reads another view"),
        (NameNodes(), "a = Relu(x) y = Relu(a)", "2 nodes have the name"),
        (LowerPrecision(), "y = Relu(x)", "x is of float32"),
    ],
)
def test_a_pass_that_did_not_do_its_work_is_found(
    monkeypatch: pytest.MonkeyPatch, rewrite: ir.passes.InPlacePass, body: str, message: str
) -> None:
    monkeypatch.setattr(type(rewrite), "call", _Idle().call)
    text = "g (float[2,3] x) => (float[2,3] y) <float one = {1}, int64[1] flat = {6}, int64[2] square = {2, 3}>"
    with pytest.raises(ir.passes.PostconditionError, match=message):
        rewrite(graph(f"{text} {{ {body} }}"))
