"""A real Chromium: does it build the graph wholly on WebNN, and what does it compute?"""

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
from turbo_webnn.runtime.webnn.weightless import Weightless, read_weightless

Device = Literal["cpu", "gpu", "npu"]

SCRIPT = Path(__file__).parent / "web" / "chromium.mjs"

# NumPy types by their names in onnxruntime-web, all little-endian in memory and in files.
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

# The page is given this long to be torn down, then the process that holds the browser is killed.
GRACE_S = 60.0


@dataclass(frozen=True)
class BrowserVerdict:
    """What one real browser did with one graph.

    whole: the session was built wholly on WebNN, with no fall-back to the CPU provider, and ran.
    reason: why not, in one line; empty where it is whole.
    accelerated: what MLContext says of its device, None where it says nothing.
    create_ms, run_ms: milliseconds for the session and for the one run, None where it came to neither.
    outputs: by name, as the browser computed them; empty where it did not run.
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
    """A browser that judges graph after graph, each on a page of its own, started anew after a failure.

    To be used in a `with`: no process and no file is left behind. Raises RequestError where Node, an npm
    package or room for the browser is missing.
    """

    def __init__(self) -> None:
        executable = unpacked_chromium()
        self._stack = ExitStack()
        self._folder = self._stack.enter_context(scratch_folder(Path(tempfile.gettempdir(), "check")))
        # Its profiles and pipes lie in our folder, so that they go with it even where Chromium is killed.
        settings = {"TMPDIR": str(self._folder), **library_path(executable)}
        self._worker = Worker("Chromium", SCRIPT, arguments=[str(executable)], settings=settings)

    @property
    def pid(self) -> int | None:
        """The process that holds the browser, where one runs."""
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
        """Builds the graph at `path` and runs it once on `inputs`, arrays by input name.

        A page that errs, crashes or has no answer within `limit_s` seconds is a verdict with that reason.
        Raises RequestError as `read_weightless` does, and for inputs that are not the graph's.
        """
        graph = read_weightless(path)
        _refuse_other_inputs(graph, inputs)
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
        return self._verdict(path, job, self._ask(job, limit_s))

    def _write(self, index: int, name: str, array: NDArray[Any]) -> dict[str, Any]:
        kind = next(kind for kind, dtype in TYPES.items() if dtype == array.dtype)
        file = self._folder / f"input{index}"
        file.write_bytes(np.ascontiguousarray(array).tobytes())
        return {"name": name, "type": kind, "dims": list(array.shape), "file": str(file)}

    def _ask(self, job: dict[str, Any], limit_s: float) -> dict[str, Any]:
        try:
            return self._worker.ask(job, limit_s + GRACE_S)
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


def _refuse_other_inputs(graph: Weightless, inputs: Mapping[str, NDArray[Any]]) -> None:
    weights = {tensor.name for tensor in graph.proto.graph.initializer}
    given = {value.name for value in graph.proto.graph.input} - weights
    if given != inputs.keys():
        wrong = f"{graph.path} does not take {', '.join(inputs) or 'nothing'}"
        raise RequestError(wrong, f"give {', '.join(sorted(given))}")
    for name, array in inputs.items():
        if array.dtype not in TYPES.values():
            raise RequestError(f"{name} is {array.dtype}", f"a browser takes {', '.join(TYPES)}")


def _read_outputs(files: dict[str, str], described: dict[str, Any]) -> dict[str, NDArray[Any]]:
    return {
        name: np.fromfile(files[name], TYPES[tensor["type"]]).reshape(tensor["dims"])
        for name, tensor in described.items()
    }
