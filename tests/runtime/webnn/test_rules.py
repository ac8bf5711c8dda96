"""Each rule finds what it is for, and nothing in graphs that are whole."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from tests.runtime.webnn.corpus import REFUSED, TRAPS, WHOLE, Case
from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.webnn.check import check_static
from turbo_webnn.runtime.webnn.rules import RULES, Effect, Finding
from turbo_webnn.runtime.webnn.target import load_target, verdict_targets
from turbo_webnn.runtime.webnn.weightless import KEPT_BYTES

PORTABLE = load_target("portable")


@pytest.mark.parametrize("case", WHOLE + REFUSED + TRAPS, ids=lambda case: case.name)
def test_rules_speak_of_what_they_are_for(case: Case, tmp_path: Path) -> None:
    findings = check_static(case.save(tmp_path), PORTABLE)
    assert {finding.rule for finding in findings} == case.rules
    assert all(finding.reason and finding.remedy for finding in findings)


def test_each_rule_has_a_graph_that_breaks_it() -> None:
    tested = frozenset[str]().union(*(case.rules for case in REFUSED + TRAPS))
    assert {rule.name for rule in RULES} | {"unused-input", "dead-node"} == tested


def test_only_refusals_leave_webnn(tmp_path: Path) -> None:
    for case in REFUSED + TRAPS:
        effects = {finding.effect for finding in check_static(case.save(tmp_path), PORTABLE)}
        assert (Effect.OFF_WEBNN in effects) == (case in REFUSED), case.name


def test_a_finding_names_node_rule_reason_and_remedy(tmp_path: Path) -> None:
    (case,) = (case for case in REFUSED if case.name == "reshape by input")
    assert check_static(case.save(tmp_path), PORTABLE) == [
        Finding(
            node="Reshape_0",
            operator="Reshape",
            rule="constant",
            effect=Effect.OFF_WEBNN,
            reason="s is computed",
            remedy="make it an initializer: fold what computes it",
        )
    ]


@pytest.mark.parametrize(
    "text",
    [
        "y = Gelu<approximate: int = 1>(x)",
        "y = Split<num_outputs: int = 2, axis: int = 9>(x)",
        'y = com.microsoft.MatMulNBits<bits: string = "four">(x)',
        "y = com.microsoft.MatMulNBits<K: float = 0.5>(x)",
        "y = MaxPool<dilations: int = 2>(x)",
        "y = Relu(missing)",
        "z = Relu(x)",
    ],
)
def test_a_graph_that_breaks_the_forms_of_onnx_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    model = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 20, "com.microsoft" : 1]>
        agraph (float[1, 2, 4, 4] x) => (float[1, 2, 4, 4] y) {{ {text} }}""")
    onnx.save(model, path)
    with pytest.raises(RequestError, match="no sound ONNX graph") as caught:
        check_static(path, PORTABLE)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "litert"), [("four bits", True), ("four bits in blocks", False)])
def test_targets_differ(name: str, litert: bool, tmp_path: Path) -> None:
    (four_bits,) = (case for case in REFUSED if case.name == name)
    path = four_bits.save(tmp_path)
    found = {target.name: bool(check_static(path, target)) for target in verdict_targets()}
    assert found == {"coreml": False, "litert": litert, "ort": False, "portable": True}


def external_product(folder: Path, data_bytes: int) -> Path:
    """A product by a weight in `weights.bin`, a sparse file of `data_bytes` bytes."""
    side = 64
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT16, dims=[side, side])
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weights.bin")
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [value("x", TensorProto.FLOAT16, [1, side])],
        [value("y", TensorProto.FLOAT16, [1, side])],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), folder / "model.onnx")
    with (folder / "weights.bin").open("wb") as stream:
        stream.truncate(data_bytes)
    assert side * side * 2 > KEPT_BYTES
    return folder / "model.onnx"


def test_a_shard_fits_into_an_array_buffer(tmp_path: Path) -> None:
    assert check_static(external_product(tmp_path, 1_900_000_000), PORTABLE) == []
    (finding,) = check_static(external_product(tmp_path, 1_900_000_001), PORTABLE)
    assert (finding.rule, finding.node) == ("shard-size", "weights.bin")


def test_a_shard_that_is_missing_or_short_is_a_wrong_request(tmp_path: Path) -> None:
    path = external_product(tmp_path, 8191)
    with pytest.raises(RequestError, match=r"weights.bin ends before w; it is cut short"):
        check_static(path, PORTABLE)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(RequestError, match=r"weights.bin, which is missing; keep its"):
        check_static(path, PORTABLE)


def test_what_is_no_graph_is_a_wrong_request(tmp_path: Path) -> None:
    for data in (b"", b"<!doctype html>", b"\x08\x0a"):
        (tmp_path / "model.onnx").write_bytes(data)
        with pytest.raises(RequestError, match=r"give a model\.onnx"):
            check_static(tmp_path / "model.onnx", PORTABLE)
    for path in (tmp_path, tmp_path / "other.onnx"):
        with pytest.raises(RequestError):
            check_static(path, PORTABLE)


def test_an_operator_set_that_the_provider_does_not_know_is_a_wrong_request(tmp_path: Path) -> None:
    path = Case("late", 27, frozenset(), "(float[4] x) => (float[4] y) { y = Relu(x) }").save(tmp_path)
    with pytest.raises(RequestError, match="operator set 27, the provider knows 26; export at 26 or below"):
        check_static(path, PORTABLE)


def test_a_models_own_functions_are_seen_through(tmp_path: Path) -> None:
    text = """<ir_version: 10, opset_import: ["": 20, "own": 1]>
        graph (float[4] x) => (float[4] y) { y = own.twice(x) }
        <domain: "own", opset_import: ["": 20]> twice (a) => (b) { b = Add(a, a) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "model.onnx")
    assert check_static(tmp_path / "model.onnx", PORTABLE) == []


def test_waste_is_no_fault(tmp_path: Path) -> None:
    for case in REFUSED + TRAPS:
        findings = check_static(case.save(tmp_path), PORTABLE)
        assert any(finding.is_fault for finding in findings) == (case.name != "dead node"), case.name
