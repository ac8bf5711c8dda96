"""Time all sides on each task. A round runs every side once, so that a disturbance affects all sides alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.progress import ReportRuns
from turbo_webnn.runtime.bench.example import input_specs
from turbo_webnn.runtime.bench.latency import Latency
from turbo_webnn.runtime.bench.process import SideProcess
from turbo_webnn.runtime.bench.protocol import GraphsOptions, OnnxruntimeOptions, PytorchOptions
from turbo_webnn.runtime.bench.report import OURS, BenchReport, Task
from turbo_webnn.runtime.draw import sampler
from turbo_webnn.runtime.ort.settings import Settings


def bench(
    bundle: Bundle,
    settings: Settings,
    *,
    reference: dict[str, str | None] | None = None,
    compiled: bool = True,
    graphs: Path | None = None,
    components: Sequence[str] = (),
    steps: Sequence[int] = (),
    rounds: int = 10,
    warmup: int = 2,
    progress: ReportRuns | None = None,
) -> BenchReport:
    """Time `bundle`, and optionally PyTorch and another exporter's graphs.

    Args:
        bundle: the bundle to time.
        settings: the settings of onnxruntime.
        reference: name, variant and revision of the bundle's checkpoint, which is timed in PyTorch.
        compiled: whether PyTorch is timed with torch.compile too.
        graphs: a folder of another exporter's graphs (`runtime.bench.graphs_side`).
        components: the components to time; all components of the bundle where empty.
        steps: the numbers of steps of drawings to time. Where empty, and no components are named: the shortest and the
            longest schedule, if the bundle can draw.
        rounds: the number of measured rounds.
        warmup: the number of rounds before them, which are not measured.
        progress: receives the task, the number of its completed rounds and their total.

    Raises:
        RequestError: where the bundle has no such component or schedule, there are no rounds to measure, or a side
            refuses its options or ends early.
    """
    if rounds < 1 or warmup < 0:
        raise RequestError(f"{rounds} rounds after {warmup} measure nothing", "give 1 or more rounds")
    tasks = [*_component_tasks(bundle, components), *_drawing_tasks(bundle, steps, implied=not components)]
    report = progress or (lambda *_: None)
    with ExitStack() as stack:
        sides = [stack.enter_context(side) for side in _sides(bundle, settings, reference, compiled, graphs)]
        for side in sides:
            side.wait_until_ready()
        latencies = {task: _measure(sides, task, rounds, warmup, report) for task in tasks}
        memory = {side.name: side.memory() for side in sides}
    manifest = bundle.manifest
    return BenchReport(
        bundle=str(bundle.folder),
        size=manifest.size,
        precision=manifest.precision,
        provider=settings.provider,
        settings=asdict(settings),
        latencies=latencies,
        memory=memory,
    )


def _component_tasks(bundle: Bundle, requested: Sequence[str]) -> list[Task]:
    for name in requested:
        bundle.chain(name)
    return [Task(component=name) for name in requested or bundle.manifest.components]


def _drawing_tasks(bundle: Bundle, requested: Sequence[int], *, implied: bool) -> list[Task]:
    """Make the tasks of drawings.

    Args:
        bundle: the bundle to draw with.
        requested: numbers of steps.
        implied: whether the shortest and the longest schedule are timed where no steps are requested.
    """
    schedules = bundle.manifest.schedules
    for steps in requested:
        sampler.plan(schedules, steps)
        for component in bundle.family.text_to_image:
            bundle.chain(component)
    can_draw = set(bundle.family.text_to_image) <= bundle.manifest.components.keys()
    defaults = sorted({min(schedules), max(schedules)}) if implied and can_draw else []
    return [Task(steps=steps) for steps in requested or defaults]


def _sides(
    bundle: Bundle,
    settings: Settings,
    reference: dict[str, str | None] | None,
    compiled: bool,
    graphs: Path | None,
) -> Iterator[SideProcess]:
    chains = bundle.manifest.components
    yield SideProcess(OURS, "onnxruntime", OnnxruntimeOptions(bundle.folder, settings))
    inputs = {name: input_specs(chain) for name, chain in chains.items()}
    if graphs is not None:
        yield SideProcess(f"{graphs.resolve().name}/", "graphs", GraphsOptions(graphs, inputs, settings))
    if reference is not None:
        options = PytorchOptions(
            source=reference,
            inputs={name: inputs[name] for name in bundle.family.image_to_image if name in inputs},
            # PyTorch's UNet takes them as inputs even where they are constants in the bundle's graph
            conditions=bundle.family.denoiser.constants(bundle.manifest.size),
            size=bundle.manifest.size,
            provider=settings.provider,
            precision=bundle.manifest.precision,
            threads=settings.threads,
            tf32=settings.tf32,
            compiled=False,
        )
        yield SideProcess("PyTorch", "pytorch", options)
        if compiled:
            yield SideProcess("torch.compile", "pytorch", replace(options, compiled=True))


def _measure(
    sides: Sequence[SideProcess], task: Task, rounds: int, warmup: int, report: ReportRuns
) -> dict[str, Latency]:
    """Measure every side that supports `task`. Each round starts with another side."""
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    for completed in range(warmup + rounds):
        report(str(task), completed, warmup + rounds)
        for turn in range(len(sides)):
            side = sides[(completed + turn) % len(sides)]
            duration = side.seconds(task) if side.name in seconds else None
            if duration is None:
                seconds.pop(side.name, None)
            elif completed >= warmup:
                seconds[side.name].append(duration)
    report(str(task), warmup + rounds, warmup + rounds)
    return {side.name: Latency(tuple(seconds[side.name])) for side in sides if side.name in seconds}
