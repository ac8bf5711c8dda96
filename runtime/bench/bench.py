"""All sides, task by task: each round runs every side once, so that what disturbs one disturbs all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.progress import ReportRuns
from turbo_webnn.runtime.bench.example import described
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
    """Time `bundle`, and beside it what else is named.

    Args:
        bundle: the bundle to time.
        settings: how onnxruntime runs it.
        reference: name, variant and revision of its checkpoint, to be timed in PyTorch.
        compiled: whether through torch.compile too.
        graphs: a folder of another exporter's graphs (`runtime.bench.graphs_side`).
        components: those to time; all that the bundle holds where there are none.
        steps: of drawings; where there are none, one step and the longest schedule, if the bundle can draw.
        rounds: that count.
        warmup: rounds before them, which do not count.
        progress: receives the task, the number of its completed rounds and their total.

    Raises:
        RequestError: where the bundle lacks a component or a schedule, rounds are too few, or a side refuses or dies.
    """
    if rounds < 1 or warmup < 0:
        raise RequestError(f"{rounds} rounds after {warmup} measure nothing", "give 1 or more rounds")
    tasks = [*_components(bundle, components), *_drawings(bundle, steps, only=bool(components))]
    told = progress or (lambda *_: None)
    with ExitStack() as stack:
        sides = [stack.enter_context(side) for side in _sides(bundle, settings, reference, compiled, graphs)]
        for side in sides:
            side.wait_until_made()
        latencies = {task: _timed(sides, task, rounds, warmup, told) for task in tasks}
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


def _components(bundle: Bundle, wanted: Sequence[str]) -> list[Task]:
    for name in wanted:
        bundle.chain(name)
    return [Task(component=name) for name in wanted or bundle.manifest.components]


def _drawings(bundle: Bundle, wanted: Sequence[int], *, only: bool) -> list[Task]:
    """Drawings asked for, or those that go without saying where nothing else was."""
    schedules = bundle.manifest.schedules
    for steps in wanted:
        sampler.plan(schedules, steps)
        for component in bundle.family.text_to_image:
            bundle.chain(component)
    can_draw = set(bundle.family.text_to_image) <= bundle.manifest.components.keys() and not only
    implied = sorted({min(schedules), max(schedules)}) if can_draw else []
    return [Task(steps=steps) for steps in wanted or implied]


def _sides(
    bundle: Bundle,
    settings: Settings,
    reference: dict[str, str | None] | None,
    compiled: bool,
    graphs: Path | None,
) -> Iterator[SideProcess]:
    chains = bundle.manifest.components
    yield SideProcess(OURS, "onnxruntime", OnnxruntimeOptions(bundle.folder, settings))
    inputs = {name: described(chain) for name, chain in chains.items()}
    if graphs is not None:
        yield SideProcess(f"{graphs.resolve().name}/", "graphs", GraphsOptions(graphs, inputs, settings))
    if reference is not None:
        options = PytorchOptions(
            source=reference,
            inputs={name: inputs[name] for name in bundle.family.image_to_image if name in inputs},
            # PyTorch's UNet asks for them even where the bundle's holds them itself
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


def _timed(sides: Sequence[SideProcess], task: Task, rounds: int, warmup: int, told: ReportRuns) -> dict[str, Latency]:
    """Every side that has `task`, in turn; each round begins with another."""
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    for done in range(warmup + rounds):
        told(str(task), done, warmup + rounds)
        for turn in range(len(sides)):
            side = sides[(done + turn) % len(sides)]
            spent = side.seconds(task) if side.name in seconds else None
            if spent is None:
                seconds.pop(side.name, None)
            elif done >= warmup:
                seconds[side.name].append(spent)
    told(str(task), warmup + rounds, warmup + rounds)
    return {side.name: Latency(tuple(seconds[side.name])) for side in sides if side.name in seconds}
