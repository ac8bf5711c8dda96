"""The real provider in Node: verdicts, reasons, weights that stay on disk, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.runtime.webnn.corpus import REFUSED, WHOLE, Case, sharded_product
from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.webnn import node
from turbo_webnn.runtime.webnn.check import check_provider
from turbo_webnn.runtime.webnn.provider import Provider
from turbo_webnn.runtime.webnn.target import load_target
from turbo_webnn.runtime.webnn.verdict import Refusal

PORTABLE = load_target("portable")


def _case(cases: list[Case], name: str) -> Case:
    return next(case for case in cases if case.name == name)


def test_whole_means_whole_over_every_table_at_every_level(provider: Provider, tmp_path: Path) -> None:
    path = _case(WHOLE, "group norm written out").save(tmp_path)
    verdicts = check_provider([path])
    assert [(verdict.target, verdict.optimization) for verdict in verdicts] == [
        (target, level) for target in ("coreml", "litert", "ort", "portable") for level in ("disabled", "all")
    ]
    assert all(verdict.whole and verdict.placed == verdict.nodes for verdict in verdicts)
    assert {verdict.reason for verdict in verdicts} == {""}
    assert verdicts[0].nodes == 5


def test_a_refused_node_is_named_with_its_reason(provider: Provider, tmp_path: Path) -> None:
    path = _case(REFUSED, "reshape by input").save(tmp_path)
    (verdict,) = provider.place(path, [PORTABLE], ["disabled"])
    reason = "New shape of reshape must be a constant initializer"
    assert (verdict.nodes, verdict.placed, verdict.partitions) == (1, 0, 0)
    assert verdict.refusals == (Refusal("Reshape_0", "Reshape", reason),)
    assert verdict.reason == f"Reshape Reshape_0: {reason}"


def test_one_partition_is_no_proof(provider: Provider, tmp_path: Path) -> None:
    path = _case(REFUSED, "unknown side branch").save(tmp_path)
    (verdict,) = provider.place(path, [PORTABLE], ["disabled"])
    assert verdict.partitions == 1
    assert not verdict.whole


def test_folding_depends_on_the_level(provider: Provider, tmp_path: Path) -> None:
    path = _case(REFUSED, "range").save(tmp_path)
    disabled, optimised = provider.place(path, [load_target("ort")])
    assert not disabled.whole
    assert optimised.placed == 0  # nothing is left to place


def test_weights_in_several_shards_are_not_read(provider: Provider, tmp_path: Path) -> None:
    path = sharded_product(tmp_path, side=2048)
    for shard in tmp_path.glob("*.bin"):
        shard.write_bytes(b"")
        with shard.open("wb") as stream:
            stream.truncate(2048 * 2048 * 2)  # sparse: there is nothing to read
    (verdict,) = provider.place(path, [PORTABLE], ["disabled"])
    assert verdict.whole
    assert (verdict.nodes, verdict.placed) == (2, 2)


def test_the_provider_outlives_a_crash(provider: Provider, tmp_path: Path) -> None:
    text = "(float[1,4] x, float[4] s) => (float[1,4] y) { y = InstanceNormalization(x, s, s) }"
    crash = Case("rank two", 20, frozenset(), text)
    (verdict,) = provider.place(crash.save(tmp_path), [PORTABLE], ["disabled"])
    assert not verdict.whole
    assert "memory access out of bounds" in verdict.reason
    (verdict,) = provider.place(WHOLE[0].save(tmp_path), [PORTABLE], ["disabled"])
    assert verdict.whole


def test_a_model_that_onnxruntime_refuses_is_a_verdict(provider: Provider, tmp_path: Path) -> None:
    path = _case(REFUSED, "two types").save(tmp_path)
    (verdict,) = provider.place(path, [PORTABLE], ["disabled"])
    assert "bound to different types" in verdict.reason


def test_a_worker_that_does_not_start_is_a_wrong_request(tmp_path: Path) -> None:
    worker = node.Worker("the provider", tmp_path / "absent.mjs")
    with pytest.raises(RequestError, match=r"the provider does not start: Error: Cannot find module"):
        worker.request({}, 10)
    assert worker.pid is None


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ("a library's words", "what it said is not readable JSON"),
        ("[1]", "what it said is not of the right form"),
        ("{}", None),
    ],
)
def test_an_answer_that_is_no_object_is_a_lost_worker(tmp_path: Path, answer: str, wrong: str | None) -> None:
    script = tmp_path / "worker.mjs"
    script.write_text(
        f"""console.log('{{"ready": "1"}}'); process.stdin.on('data', () => console.log({json.dumps(answer)}));"""
    )
    worker = node.Worker("the provider", script)
    try:
        if wrong is None:
            assert worker.request({}, 10) == {}
        else:
            with pytest.raises(node.WorkerLostError, match=wrong):
                worker.request({}, 10)
            assert worker.pid is None
    finally:
        worker.close()


def test_missing_parts_are_wrong_requests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(node, "MODULES", tmp_path)
    with pytest.raises(RequestError, match=r"onnxruntime-web 1\.30\.0 is not installed; run npm ci"):
        Provider()
    package = tmp_path / "onnxruntime-web"
    package.mkdir()
    (package / "package.json").write_text(json.dumps({"version": "1.20.0"}))
    with pytest.raises(RequestError, match=r"onnxruntime-web is 1\.20\.0, this is made for 1\.30\.0"):
        Provider()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match="there is no node on PATH; install Node 20 or newer"):
        Provider()
