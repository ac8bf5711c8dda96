from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Export
from tests.refusal import refusal
from tests.runtime.conftest import MakeBundle
from tests.runtime.stand import Stand, let_stand_in
from turbo_webnn import verify
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.component import Size
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.precision import Precision
from turbo_webnn.models.source import Source, open_source
from turbo_webnn.runtime.ort import loading
from turbo_webnn.runtime.ort.settings import Settings
from turbo_webnn.runtime.verification.publish import PAGE, PARITY

SOURCE = Source("reference", Path("reference"))
PROMPT = "a cat"


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> list[Stand]:
    """Where a test puts the reference of its verify, and after it the one in float16."""
    stands: list[Stand] = []
    let_stand_in(monkeypatch, stands)
    return stands


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_bundle_that_agrees_passes(make_bundle: MakeBundle, stand: list[Stand], precision: Precision) -> None:
    bundle = make_bundle(precision, Size(2, 16, 24))
    stand.append(Stand(bundle))
    report = verify(bundle, SOURCE, prompts=[PROMPT], provider="cpu")
    assert report.passed
    cases = [(row.component, row.case) for row in report.rows]
    assert cases == [
        ("tokenizer", "'a cat'"),
        ("tokenizer", "''"),
        ("tokenizer", f"{' '.join([PROMPT] * 77)[:77]!r}…, to be cut"),
        ("text_encoder", "text to image, 4 steps, seed 0, 'a cat'"),
        ("vae_encoder", "image to image at 0.5, 2 steps, seed 0, 'a cat'"),
        *(
            ("unet", f"timestep {timestep}, text to image, 4 steps, seed 0, 'a cat'")
            for timestep in (1400, 400, 150, 50)
        ),
        ("vae_decoder", "text to image, 4 steps, seed 0, 'a cat'"),
        ("pipeline", "text to image, 1 step, seed 0, 'a cat'"),
        ("pipeline", "text to image, 2 steps, seed 0, 'a cat'"),
        ("pipeline", "text to image, 4 steps, seed 0, 'a cat'"),
        ("pipeline", "image to image at 0.5, 2 steps, seed 0, 'a cat'"),
    ]


@pytest.mark.parametrize(
    ("wrong", "error"),  # the miniature draws black: an error has to make it brighter to be seen in its pictures
    [("text_encoder", -50), ("unet", -50), ("vae_decoder", 50), ("vae_encoder", 50), ("tokenizer", 1)],
)
def test_the_component_that_is_wrong_is_named(
    make_bundle: MakeBundle, stand: list[Stand], wrong: str, error: float
) -> None:
    bundle = make_bundle()
    stand.append(Stand(bundle, wrong, error))
    report = verify(bundle, SOURCE, prompts=[PROMPT], provider="cpu")
    assert not report.passed
    failed = {row.component for row in report.rows if not row.passed}
    assert failed - {"pipeline"} == {wrong}
    assert ("pipeline" in failed) == (wrong != "tokenizer")


@pytest.mark.parametrize(
    ("components", "drawn"),
    [
        (("unet",), {"unet"}),
        (("text_encoder",), {"text_encoder"}),
        (("vae_encoder",), {"vae_encoder"}),
        (("vae_decoder", "unet"), {"unet", "vae_decoder"}),
        (("text_encoder", "unet", "vae_decoder"), {"text_encoder", "unet", "vae_decoder", "pipeline"}),
    ],
)
def test_what_the_bundle_lacks_is_left_out(
    make_bundle: MakeBundle, stand: list[Stand], components: tuple[str, ...], drawn: set[str]
) -> None:
    stand.append(Stand(replace(make_bundle(), states={})))  # the next one is written over it
    bundle = make_bundle(components=components)
    report = verify(bundle, SOURCE, prompts=[PROMPT], steps=(1, 2), provider="cpu")
    assert report.passed
    assert {row.component for row in report.rows} - {"tokenizer"} == drawn


def test_one_component_is_loaded_at_a_time(make_bundle: MakeBundle, stand: list[Stand]) -> None:
    bundle = make_bundle()
    stand.append(Stand(bundle))
    verify(bundle, SOURCE, prompts=[PROMPT], provider="cpu")
    assert all(len(loaded) == 1 for loaded in stand[0].loaded)


def test_the_report_is_written_into_the_bundle(make_bundle: MakeBundle, stand: list[Stand]) -> None:
    bundle = make_bundle()
    stand.append(Stand(bundle, "unet", float("nan")))
    verify(bundle, SOURCE, prompts=[PROMPT], provider="cpu")
    written = json.loads((bundle.folder / PARITY).read_text(), parse_constant=pytest.fail)
    assert written["passed"] is False
    assert written["reference"]["name"] == "reference"
    assert written["environment"]["onnxruntime"]
    assert written["provider"] == "cpu"
    assert {row["component"]: row["gate"] for row in written["rows"]}["unet"] == {"psnr": 80.0}
    names = sorted(path.name for path in (bundle.folder / PARITY).parent.iterdir())
    assert names == ["index.html", "parity.json"]


def test_an_error_that_float16_does_not_explain_fails(make_bundle: MakeBundle, stand: list[Stand]) -> None:
    """Ours is well within the gates, and twice as far away as PyTorch in float16 is."""
    bundle = make_bundle("fp16")
    stand.extend([Stand(bundle, "unet", 0.02), Stand(bundle, "unet", 0.01)])
    report = verify(bundle, SOURCE, prompts=[PROMPT], steps=(1,), provider="cpu")
    assert all(row.passed for row in report.rows if row.component == "unet")
    ratios = {floor.component: floor.ratio for floor in report.noise}
    assert ratios["unet"] == pytest.approx(2.0, rel=0.05)
    assert ratios["text_encoder"] == ratios["vae_decoder"] == 1.0
    assert {floor.component for floor in report.noise if not floor.passed} >= {"unet"}
    assert not report.passed
    (row,) = (row for row in report.to_json()["rows"] if row["component"] == "unet")
    assert row["floor"]["relative_l2"] == pytest.approx(row["relative_l2"] / 2, rel=0.05)
    assert row["timestep"] == 1400


def test_where_pytorch_leaves_float16_there_is_nothing_to_keep_to(make_bundle: MakeBundle, stand: list[Stand]) -> None:
    bundle = make_bundle("fp16")
    stand.extend([Stand(bundle), Stand(bundle, "vae_decoder", float("inf"))])
    report = verify(bundle, SOURCE, prompts=[PROMPT], steps=(1,), provider="cpu")
    assert report.passed
    written = json.loads((bundle.folder / PARITY).read_text(), parse_constant=pytest.fail)
    floors = {floor["component"]: floor for floor in written["noise"]}
    assert (floors["vae_decoder"]["pytorch"], floors["vae_decoder"]["ratio"]) == (None, 0.0)


def test_float32_has_no_floor(make_bundle: MakeBundle, stand: list[Stand]) -> None:
    bundle = make_bundle("fp32")
    stand.append(Stand(bundle))
    report = verify(bundle, SOURCE, prompts=[PROMPT], steps=(1,), provider="cpu")
    assert report.noise == ()
    assert all(row.floor is None for row in report.rows)


def test_a_file_that_is_not_the_manifests(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    path = bundle.path(bundle.chain("unet").graphs[0])
    held = bytearray(path.read_bytes())
    held[-1] ^= 1
    path.write_bytes(held)
    said = refusal(verify, bundle, SOURCE, prompts=[PROMPT], provider="cpu")
    assert f"{path} does not match its sha256 in the manifest" in said


def test_a_list_of_recipes_that_is_none(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    path = bundle.folder / "report" / "quality.json"
    path.parent.mkdir()
    path.write_text('[{"recipe": "q4f16"}]')
    said = refusal(verify, bundle, SOURCE, prompts=[PROMPT], provider="cpu")
    assert said.startswith(f"{path} is not of the right form (Object missing required field bytes")


def test_neither_file_is_written_where_one_cannot_be(make_bundle: MakeBundle, stand: list[Stand]) -> None:
    bundle = make_bundle(components=("text_encoder",))
    stand.append(Stand(bundle))
    (bundle.folder / PAGE).mkdir(parents=True)  # so that the second of the two fails
    notices: list[str] = []
    report = verify(bundle, SOURCE, prompts=[PROMPT], provider="cpu", notice=notices.append)
    assert report.passed
    (line,) = notices
    assert line.startswith(f"the report is not kept: {bundle.folder / PARITY} cannot be written (")
    assert not (bundle.folder / PARITY).exists()


def test_progress_tells_both_sides(make_bundle: MakeBundle, stand: list[Stand]) -> None:
    bundle = make_bundle(components=("text_encoder",))
    stand.append(Stand(bundle))
    told: list[tuple[str, int, int]] = []
    verify(bundle, SOURCE, prompts=[PROMPT], provider="cpu", progress=lambda *report: told.append(report))
    assert told == [(name, done, 1) for name in ("PyTorch text_encoder", "text_encoder") for done in (0, 1)]


def test_a_bundle_is_compared_with_another(make_bundle: MakeBundle) -> None:
    bundle = make_bundle("fp16")
    report = verify(bundle, bundle, prompts=[PROMPT], provider="cpu")
    assert report.passed
    assert {row.figures.max_abs for row in report.rows} == {0.0}
    assert {row.component for row in report.rows} == {
        *("tokenizer", "text_encoder", "unet", "vae_decoder", "vae_encoder", "pipeline")
    }
    assert report.reference["name"] == "miniature in fp16"


def test_a_bundle_that_samples_is_compared_with_sampled_pictures(tiny_posterior: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(shutil.copytree(tiny_posterior, tmp_path / "bundle"))  # the report is written into it
    report = verify(bundle, open_source("tiny"), prompts=[PROMPT], steps=[1], provider="cpu")
    assert report.passed
    (row,) = [row for row in report.rows if row.component == "pipeline" and row.case.startswith("image to image")]
    assert row.figures.psnr > 60  # the mean of the latents would give another picture


def test_a_bundle_without_the_variance_is_no_reference_of_one_that_samples(
    tiny_posterior: Path, export_once: Export
) -> None:
    mean = export_once("tiny-two", "--precision", "fp32", "--batch", "2")
    with pytest.raises(RequestError, match=r"no variance .* to sample with; export with --sample-posterior"):
        verify(Bundle.open(tiny_posterior), Bundle.open(mean), prompts=[PROMPT], steps=[1], provider="cpu")


def test_graphs_run_as_they_are_on_disk_unless_it_is_said(
    make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, loaded = make_bundle(), set()

    def fuse_file(path: Path) -> bytes:
        loaded.add(path.parent.name)
        return path.read_bytes()

    monkeypatch.setattr(loading, "fuse_file", fuse_file)
    verify(bundle, bundle, prompts=[PROMPT], steps=(1,), provider="cpu")
    assert loaded == set()
    verify(bundle, bundle, prompts=[PROMPT], steps=(1,), provider=Settings("cpu"))
    assert loaded == set(bundle.manifest.components)


def test_a_bundle_of_another_size_is_no_reference(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    other = Bundle(bundle.folder, replace(bundle.manifest, size=Size(1, 24, 16)))
    with pytest.raises(RequestError, match="draws 1 × 24 × 16; give one of 1 × 16 × 24"):
        verify(bundle, other, prompts=[PROMPT], provider="cpu")


def test_steps_without_a_schedule(make_bundle: MakeBundle) -> None:
    with pytest.raises(RequestError, match="no schedule of 3 steps"):
        verify(make_bundle(), SOURCE, steps=(1, 3), provider="cpu")
