from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.refusal import refusal
from turbo_webnn.models.source import EMBEDDED, open_source
from turbo_webnn.models.source.variants import variants_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A diffusers folder of one's own."""
    return Path(shutil.copytree(EMBEDDED["tiny"], tmp_path / "turbo"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_an_embedded_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source("tiny")
    assert (source.name, source.folder, source.revision) == ("tiny", EMBEDDED["tiny"], None)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(EMBEDDED["tiny"], "tiny")
    assert open_source("tiny").folder == Path("tiny")  # a folder that exists wins


def test_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(str(folder), variant="fp16")
    assert (source.name, source.folder, source.variant) == ("turbo", folder, "fp16")
    assert source.family.name == "stable-diffusion"
    assert source.scheduler_config()["_class_name"]
    monkeypatch.chdir(folder)
    assert open_source(".").name == "turbo"


def test_a_folder_wins_over_a_hub_id(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent.parent)
    assert open_source(f"{folder.parent.name}/turbo").folder.resolve() == folder


def test_provenance_says_no_path(folder: Path) -> None:
    provenance = open_source(str(folder)).provenance
    assert provenance == {"name": "turbo", "revision": None, "variant": None, "license": "apache-2.0"}


def test_another_sources_vae(folder: Path, tmp_path: Path) -> None:
    change(folder / "vae/config.json", scaling_factor=0.5)
    alone = Path(shutil.copytree(folder / "vae", tmp_path / "retuned"))
    change(alone / "config.json", scaling_factor=0.25)
    (alone / "README.md").write_text("---\nlicense: mit\n---\n")
    for given, name, held, factor in (
        (folder, "turbo", folder / "vae", 0.5),
        (alone, "retuned", alone, 0.25),
        ("tiny", "tiny", EMBEDDED["tiny"] / "vae", 0.43618),
    ):
        source = open_source("tiny", parts={"vae": str(given)})
        for half in ("vae_decoder", "vae_encoder"):
            component = source.family.component(half)
            assert source.config(component)["scaling_factor"] == factor
            assert source.checkpoint(component).where == held / "diffusion_pytorch_model.safetensors"
        unet = source.family.component("unet")
        assert source.checkpoint(unet).where.is_relative_to(EMBEDDED["tiny"])
        stated = {"retuned": "mit", "tiny": "apache-2.0", "turbo": "apache-2.0"}[name]
        assert source.provenance["vae"] == {"name": name, "revision": None, "variant": None, "license": stated}


def test_a_vae_keeps_its_own_variant(folder: Path) -> None:
    weights = folder / "unet/diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".fp16.safetensors"))
    source = open_source(str(folder), variant="fp16", parts={"vae": "tiny"})
    for name in ("unet", "vae_decoder"):
        assert source.checkpoint(source.family.component(name)).count() > 0


def rename_weights(folder: Path, subfolder: str, variant: str) -> None:
    for path in (folder / subfolder).glob("*.safetensors"):
        path.rename(path.with_suffix(f".{variant}.safetensors"))


@pytest.mark.parametrize(
    ("asked", "variants", "notice"),
    [
        (None, {"unet": "fp16", "text_encoder": "fp16"}, "turbo: unet has no main weights; its fp16 ones are read"),
        ("fp16", {"vae": None}, "turbo: vae has no fp16 weights; its main ones are read"),
    ],
)
def test_each_component_gives_the_variant_that_it_has(
    folder: Path, asked: str | None, variants: dict[str, str | None], notice: str
) -> None:
    for subfolder in ("unet", "text_encoder"):
        rename_weights(folder, subfolder, "fp16")
    source = open_source(str(folder), variant=asked)
    assert source.variants == variants
    assert notice in source.notices
    assert len(source.notices) == len(variants)
    assert source.provenance["variants"] == variants
    assert source.provenance["variant"] == asked
    for component in source.family.components:
        assert source.checkpoint(component).count() > 0
    decoder_alone = open_source(str(folder), variant=asked, components=["vae_decoder"])
    assert decoder_alone.variants == {name: taken for name, taken in variants.items() if name == "vae"}


def test_variants_among_which_the_user_chooses(folder: Path) -> None:
    for subfolder in ("unet", "vae"):
        rename_weights(folder, subfolder, "fp16")
    shutil.copy(
        folder / "unet/diffusion_pytorch_model.fp16.safetensors",
        folder / "unet/diffusion_pytorch_model.ema.safetensors",
    )
    source = open_source(str(folder))
    assert source.variants == {"vae": "fp16"}
    said = refusal(source.checkpoint, source.family.component("unet"))
    assert said.endswith("it has weights with --variant ema or with --variant fp16")
    source = open_source(str(folder), variant="bf16")  # which nothing here is
    assert (source.variants, source.notices) == ({}, ())
    assert "has no model.bf16.safetensors; it has weights without --variant" in refusal(
        source.checkpoint, source.family.component("text_encoder")
    )


def test_a_vae_in_one_variant_only(folder: Path) -> None:
    rename_weights(folder, "vae", "fp16")
    source = open_source("tiny", parts={"vae": str(folder)})
    assert source.checkpoint(source.family.component("vae_decoder")).count() > 0
    assert source.notices == ("turbo: vae has no main weights; its fp16 ones are read",)
    assert source.provenance["vae"]["variants"] == {"vae": "fp16"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["m.safetensors", "m.fp16.safetensors"], {None, "fp16"}),
        (
            ["m.safetensors.index.json", "m.safetensors.index.fp16.json", "m.bf16.safetensors.index.json"],
            {None, "fp16", "bf16"},
        ),
        (["m-00001-of-00002.safetensors", "m.fp16-00001-of-00002.safetensors", "m.bin", "mm.safetensors"], set()),
    ],
)
def test_the_variants_that_files_hold(names: list[str], expected: set[str | None]) -> None:
    assert variants_of(names, "m") == expected


def test_what_has_no_vae(folder: Path, tmp_path: Path) -> None:
    shutil.rmtree(folder / "vae")
    said = refusal(open_source, "tiny", parts={"vae": str(folder)})
    assert said.startswith(
        f"{folder} has no AutoencoderKL: neither vae/config.json nor config.json; give a diffusers folder"
    )
    assert "'retuned' is no folder and no hub id" in refusal(open_source, "tiny", parts={"vae": "retuned"})
    source = open_source("tiny", parts={"vae": str(folder / "text_encoder")})
    said = refusal(source.config, source.family.component("vae_decoder"))
    assert said.endswith("text_encoder/config.json describes CLIPTextModel; vae_decoder must be AutoencoderKL")
    wide = Path(shutil.copytree(EMBEDDED["tiny"] / "vae", tmp_path / "wide"))
    change(wide / "config.json", latent_channels=16)
    source = open_source("tiny", parts={"vae": str(wide)})
    said = refusal(source.config, source.family.component("vae_encoder"))
    assert said == f"{wide}/config.json has latent_channels = 16; vae_encoder is served with 4"


def test_the_components_that_are_chosen() -> None:
    family = open_source("tiny").family
    assert family.chosen(()) == family.chosen((), fed=True) == family.components
    assert [part.name for part in family.chosen(["unet", "unet"])] == ["unet"]
    assert [part.name for part in family.chosen(["unet"], fed=True)] == ["unet", "text_encoder"]
    fed = family.chosen(["vae_decoder", "text_encoder"], fed=True)
    assert [part.name for part in fed] == ["vae_decoder", "text_encoder", "vae_encoder"]


def test_a_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    for name, said in (
        ("turbo.safetensors", "is truncated or corrupt"),
        ("turbo.ckpt", "is a pickle, which runs code when it is read; give the same checkpoint as .safetensors"),
        ("turbo.gguf", "is no .safetensors file; give a diffusers folder or a .safetensors file"),
    ):
        path = tmp_path / name
        path.touch()
        assert refusal(open_source, str(path)).startswith(f"{path} {said}")


@pytest.mark.parametrize("source", ["turbo", "a/b/c", "./turbo", "/no/such/folder", "\0"])
def test_nonsense(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "is no folder and no hub id; give a diffusers folder, OWNER/NAME" in refusal(open_source, source)


def test_a_prompt_in_the_place_of_a_source() -> None:
    assert "cannot be opened (File name too long)" in refusal(open_source, "a cat on a mat, " * 30)


def test_a_folder_has_no_revisions(folder: Path) -> None:
    for source in (str(folder), "tiny"):
        said = refusal(open_source, source, revision="main")
        assert said == f"{source} is a folder and has no revisions; drop --revision, or give a hub id"


def test_a_folder_without_a_pipeline(tmp_path: Path) -> None:
    assert refusal(open_source, str(tmp_path)) == f"{tmp_path} has no model_index.json; give a diffusers folder"


@pytest.mark.parametrize(
    ("found", "said"),
    [("FluxPipeline", "holds a FluxPipeline"), (None, "names no pipeline class"), (["x"], "holds a ['x']")],
)
def test_another_pipeline(folder: Path, found: object, said: str) -> None:
    change(folder / "model_index.json", _class_name=found)
    told = refusal(lambda: open_source(str(folder)).family)
    assert said in told
    assert "served are StableDiffusionPipeline" in told


@pytest.mark.parametrize(
    ("component", "values", "said"),
    [
        ("unet", {"in_channels": 9}, "has in_channels = 9; unet is served with 4"),
        ("unet", {"addition_embed_type": "image"}, "has addition_embed_type = 'image'; unet is served with"),
        ("unet", {"_class_name": "UNet3DConditionModel"}, "describes UNet3DConditionModel; unet must be UNet2D"),
        ("unet", {"cross_attention_dim": [64, 64]}, "has cross_attention_dim = [64, 64]; unet needs a positive number"),
        (
            "vae_decoder",
            {"_class_name": "AutoencoderTiny"},
            "describes AutoencoderTiny; vae_decoder must be Auto",
        ),
        ("vae_encoder", {"latent_channels": 16}, "has latent_channels = 16; vae_encoder is served with 4"),
        (
            "text_encoder",
            {"architectures": ["T5EncoderModel"]},
            "describes T5EncoderModel; text_encoder must be CLIP",
        ),
        ("text_encoder", {"max_position_embeddings": 248}, "has max_position_embeddings = 248"),
        ("text_encoder", {"hidden_act": "relu"}, "text_encoder is served with 'gelu' or 'quick_gelu'"),
        ("text_encoder", {"hidden_size": None}, "Expected int, got null - at hidden_size"),
    ],
)
def test_another_architecture(folder: Path, component: str, values: dict[str, Any], said: str) -> None:
    source = open_source(str(folder))
    part = source.family.component(component)
    assert source.config(part)
    path = folder / part.subfolder / "config.json"
    change(path, **values)
    told = refusal(source.config, part)
    assert told.startswith(str(path))
    assert said in told


def test_a_component_that_is_missing(folder: Path) -> None:
    source = open_source(str(folder))
    shutil.rmtree(folder / "unet")
    said = f"{folder} has no unet/config.json; unet needs it: give a complete diffusers folder"
    assert refusal(source.config, source.family.component("unet")) == said
    assert "has no diffusion_pytorch_model.safetensors" in refusal(source.checkpoint, source.family.component("unet"))


def test_a_component_that_no_pipeline_has(folder: Path) -> None:
    said = "StableDiffusionPipeline has no component 'vae'; it has text_encoder, unet, vae_decoder, vae_encoder, "
    said += "safety_checker"
    assert refusal(open_source(str(folder)).family.component, "vae") == said


@pytest.mark.parametrize(
    ("contents", "said"),
    [(b"{", "is not readable JSON"), (b"\xff\xfe", "is not readable JSON"), (b"[]", "is not ")],
)
def test_broken_json(folder: Path, contents: bytes, said: str) -> None:
    source = open_source(str(folder))
    for path, read in (
        (folder / "unet" / "config.json", lambda: source.config(source.family.component("unet"))),
        (folder / "scheduler" / "scheduler_config.json", source.scheduler_config),
    ):
        path.write_bytes(contents)
        told = refusal(read)
        assert told.startswith(f"{path} {said}")
        assert told.endswith("; copy or download it anew")


def test_a_scheduler_that_is_missing(folder: Path) -> None:
    shutil.rmtree(folder / "scheduler")
    assert "scheduler_config.json is missing" in refusal(open_source(str(folder)).scheduler_config)
