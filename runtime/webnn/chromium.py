"""Build and run graphs on WebNN in a real Chromium."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.staging import scratch_folder
from turbo_webnn.runtime.webnn.browser import library_path, unpacked_chromium
from turbo_webnn.runtime.webnn.node import Worker, WorkerLostError
from turbo_webnn.runtime.webnn.provider import Optimization
from turbo_webnn.runtime.webnn.verdict import Refusal, reason_of, refusals_of
from turbo_webnn.runtime.webnn.weightless import WeightlessGraph, read_weightless

Device = Literal["cpu", "gpu", "npu"]

SCRIPT = Path(__file__).parent / "web" / "chromium.mjs"

# The NumPy type of each type of onnxruntime-web. All are little-endian in memory and in files.
TYPES: Mapping[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "int64": np.dtype("<i8"),
    "int32": np.dtype("<i4"),
    "uint32": np.dtype("<u4"),
    "uint8": np.dtype("u1"),
    "int8": np.dtype("i1"),
    "bool": np.dtype("?"),
}

# The time for closing the page. After it, the process of the browser is killed.
GRACE_S = 60.0


@dataclass(frozen=True)
class BrowserVerdict:
    """The result of one graph in a real browser.

    Attributes:
        model: the path of the graph.
        whole: whether the session was built wholly on WebNN, without fallback to the CPU provider, and ran.
        reason: the reason for a failure, in one line; empty where `whole`.
        browser: the version of Chromium.
        onnxruntime: the version of onnxruntime-web.
        device: the device type of the MLContext.
        accelerated: the property `accelerated` of the MLContext; None where the browser has no such property.
        optimization: the optimisation level of onnxruntime.
        nodes: the number of nodes after optimisation.
        placed: the number of nodes on WebNN.
        partitions: the number of partitions on WebNN.
        refusals: the nodes that the provider refuses.
        create_ms: the duration of creating the session in milliseconds; None where it failed.
        run_ms: the duration of the run in milliseconds; None where it failed.
        outputs: the browser's outputs by name; empty where the graph did not run.
    """

    model: Path
    whole: bool
    reason: str
    browser: str
    onnxruntime: str
    device: Device
    accelerated: bool | None
    optimization: Optimization
    nodes: int
    placed: int
    partitions: int
    refusals: tuple[Refusal, ...]
    create_ms: float | None
    run_ms: float | None
    outputs: Mapping[str, NDArray[Any]] = field(repr=False)


class Chromium:
    """A browser that runs graphs, each in its own page. It restarts after a failure.

    It is a context manager, which leaves no process and no file behind.

    Raises:
        RequestError: where Node, an npm package or disk space for the browser is missing.
    """

    def __init__(self) -> None:
        executable = unpacked_chromium()
        self._stack = ExitStack()
        self._folder = self._stack.enter_context(scratch_folder(Path(tempfile.gettempdir(), "check")))
        # Chromium's profiles and pipes are in our folder, so that they are removed even where Chromium is killed.
        settings = {"TMPDIR": str(self._folder), **library_path(executable)}
        self._worker = Worker("Chromium", SCRIPT, arguments=[str(executable)], settings=settings)

    @property
    def pid(self) -> int | None:
        """The id of the Node process of the browser; None where no process runs."""
        return self._worker.pid

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.close()
        self._stack.close()

    def run(
        self,
        path: Path,
        inputs: Mapping[str, NDArray[Any]],
        *,
        limit_s: float = 180.0,
        optimization: Optimization = "disabled",
        device: Device = "cpu",
    ) -> BrowserVerdict:
        """Build the graph at `path`, and run it once.

        Args:
            path: the path of the graph.
            inputs: arrays by input name.
            limit_s: the time limit in seconds. A page that fails, crashes or takes longer gives a verdict with that
                reason.
            optimization: the optimisation level of onnxruntime.
            device: the device type of the MLContext.

        Raises:
            RequestError: where the inputs do not match the graph, and as for `read_weightless`.
        """
        graph = read_weightless(path)
        _require_inputs(graph, inputs)
        folder = self._folder
        outputs = [value.name for value in graph.proto.graph.output]
        job = {
            "model": str(path.resolve()),
            "shards": [{"path": shard.name, "file": str(graph.file(shard))} for shard in graph.shards],
            "inputs": [self._write(i, name, array) for i, (name, array) in enumerate(inputs.items())],
            "outputs": {name: str(folder / f"output{i}") for i, name in enumerate(outputs)},
            "optimization": optimization,
            "deviceType": device,
            "limit_s": limit_s,
        }
        return self._verdict(path, job, self._request(job, limit_s))

    def _write(self, index: int, name: str, array: NDArray[Any]) -> dict[str, Any]:
        type_name = next(type_name for type_name, dtype in TYPES.items() if dtype == array.dtype)
        file = self._folder / f"input{index}"
        file.write_bytes(np.ascontiguousarray(array).tobytes())
        return {"name": name, "type": type_name, "dims": list(array.shape), "file": str(file)}

    def _request(self, job: dict[str, Any], limit_s: float) -> dict[str, Any]:
        try:
            return self._worker.request(job, limit_s + GRACE_S)
        except WorkerLostError as loss:
            return {"error": str(loss)}

    def _verdict(self, path: Path, job: dict[str, Any], answer: dict[str, Any]) -> BrowserVerdict:
        whole = bool(answer.get("whole")) and not answer["error"]
        refusals = () if whole else refusals_of(answer)
        return BrowserVerdict(
            model=path,
            whole=whole,
            reason="" if whole else reason_of(answer, refusals),
            browser=self._worker.version,
            onnxruntime=answer.get("onnxruntime") or "",
            device=job["deviceType"],
            accelerated=answer.get("accelerated"),
            optimization=job["optimization"],
            nodes=answer.get("nodes", 0),
            placed=answer.get("placed", 0),
            partitions=answer.get("partitions", 0),
            refusals=refusals,
            create_ms=answer.get("create_ms"),
            run_ms=answer.get("run_ms"),
            outputs={} if answer["error"] else _read_outputs(job["outputs"], answer["outputs"]),
        )


def _require_inputs(graph: WeightlessGraph, inputs: Mapping[str, NDArray[Any]]) -> None:
    weights = {tensor.name for tensor in graph.proto.graph.initializer}
    expected = {value.name for value in graph.proto.graph.input} - weights
    if expected != inputs.keys():
        wrong = f"{graph.path} does not take {', '.join(inputs) or 'nothing'}"
        raise RequestError(wrong, f"give {', '.join(sorted(expected))}")
    for name, array in inputs.items():
        if array.dtype not in TYPES.values():
            raise RequestError(f"{name} is {array.dtype}", f"a browser takes {', '.join(TYPES)}")


def _read_outputs(files: dict[str, str], specs: dict[str, Any]) -> dict[str, NDArray[Any]]:
    return {name: np.fromfile(files[name], TYPES[spec["type"]]).reshape(spec["dims"]) for name, spec in specs.items()}
