"""What people hold on a hub: pipelines, single files, LoRAs. Headers are judged first; only what is read travels."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from tests import loras
from tests.checkpoints import packed
from tests.loras import UNET_MODULES, lora
from tests.models.hub_server import HubServer, Repository
from tests.models.hub_user import CARD, NAME, TEXT, UNET, VAE, WEIGHTS, User, weights
from turbo_webnn.models.source import EMBEDDED, open_source


def export(user: User, output: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "turbo_webnn.scripts.cli",
        "export",
        *words,
        "-o",
        str(output),
        "--precision",
        "fp32",
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=user.environment)


def refused(user: User, output: Path, *words: str) -> str:
    done = export(user, output, *words)
    assert done.returncode == 2, done.stderr
    assert not output.exists()
    return done.stderr.strip().splitlines()[-1]


def changed(data: bytes, change: Any) -> bytes:
    """A safetensors file after `change` of its arrays."""
    arrays = safetensors.numpy.load(data)
    change(arrays)
    return safetensors.numpy.save(arrays, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        (UNET, lambda arrays: arrays.pop("conv_in.weight"), "has no tensor conv_in.weight"),
        (
            UNET,
            lambda arrays: arrays.update({"conv_in.weight": np.ones((2, 2))}),
            "conv_in.weight has shape [2, 2]",
        ),
        (VAE, lambda arrays: arrays.update({"decoder.more": np.ones(2)}), "holds decoder.more, which the config"),
        (TEXT, lambda arrays: arrays.update({next(iter(arrays)): np.ones(2, np.int8)}), "has shape [2]"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_their_headers(
    file: str, change: Any, said: str, hub: HubServer, user: User, files: dict[str, bytes], tmp_path: Path
) -> None:
    repository = hub.repositories[NAME] = Repository()
    repository.commit({**files, f"{file}.safetensors": changed(files[f"{file}.safetensors"], change)}, "main")
    assert said in refused(user, tmp_path / "bundle", NAME)
    for path in WEIGHTS:
        assert hub.sent[path] <= 100_001  # what huggingface_hub reads of a header first
    assert sum(hub.sent[path] for path in WEIGHTS) < sum(len(files[path]) for path in WEIGHTS) / 4


def test_a_hub_without_ranges_is_judged_later(
    hub: HubServer, user: User, turbo: Repository, files: dict[str, bytes], tmp_path: Path
) -> None:
    def refuse_ranges(request: Any) -> bool:
        if (request.headers["Range"] or "").startswith("bytes=0-1"):
            request._refuse(416, "NoRange")
            return True
        return False

    hub.fault = refuse_ranges
    done = export(user, tmp_path / "bundle", NAME, "--component", "vae_decoder")
    assert done.returncode == 0, done.stderr


def test_a_notice_says_how_much_comes_from_where(
    hub: HubServer, user: User, turbo: Repository, files: dict[str, bytes], tmp_path: Path
) -> None:
    done = export(user, tmp_path / "bundle", NAME)
    assert done.returncode == 0, done.stderr
    size = sum(len(files[path]) for path in WEIGHTS)
    assert f"fetching {size / 1e6:.1f} MB from {NAME}" in done.stderr
    assert weights(hub.fetched()) == WEIGHTS
    again = export(user, tmp_path / "again", NAME)
    assert "fetching" not in again.stderr


def test_a_single_file_beside_other_files(
    hub: HubServer, user: User, turbo: Repository, files: dict[str, bytes], tmp_path: Path
) -> None:
    """A repository that has the folders of diffusers and a single file: the file and the configs travel."""
    file = packed(open_source("tiny"), tmp_path / "all.safetensors", open_clip=False).read_bytes()
    turbo.commit({**files, "checkpoints/all.safetensors": file}, "main")
    hub.fetched()
    done = export(user, tmp_path / "bundle", f"{NAME}/checkpoints/all.safetensors", "--config", NAME)
    assert done.returncode == 0, done.stderr
    assert weights(hub.fetched()) == {"checkpoints/all.safetensors"}
    source = json.loads((tmp_path / "bundle" / "manifest.json").read_text())["source"]
    commit = turbo.refs["main"]
    assert source["name"] == f"{NAME}/checkpoints/all.safetensors"
    assert (source["revision"], source["license"]) == (commit, "community")
    assert source["config"] == {"name": NAME, "revision": commit, "variant": None, "license": "community"}


def test_the_configs_of_a_single_file_are_the_published_ones(
    hub: HubServer, user: User, files: dict[str, bytes], tmp_path: Path
) -> None:
    file = packed(open_source("tiny"), tmp_path / "all.safetensors", open_clip=False)
    published = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    hub.repositories[published] = Repository()
    hub.repositories[published].commit(files, "main")
    done = export(user, tmp_path / "bundle", str(file))
    assert done.returncode == 0, done.stderr
    assert f"the configs of all.safetensors are those of {published}; --config takes others" in done.stderr
    assert weights(hub.fetched()) == set()
    assert "there is no folder stabilityai/stable-diffusion-2-1, and the hub has no model of that id" in refused(
        user, tmp_path / "other", str(packed(open_source("tiny"), tmp_path / "two.safetensors", open_clip=True))
    )


def test_loras_of_a_repository(hub: HubServer, user: User, tmp_path: Path) -> None:
    tiny = open_source("tiny")
    path = lora(tiny, tmp_path / "it.safetensors", loras.peft, {"unet": UNET_MODULES}, alpha=None)
    repository = hub.repositories["someone/style"] = Repository()
    held = {"pytorch_lora_weights.safetensors": path.read_bytes(), "README.md": CARD}
    commit = repository.commit({**held, "more/other.safetensors": path.read_bytes()}, "main")
    named = ["someone/style:0.25", "someone/style/more/other.safetensors"]
    stated = user.provenance("tiny", loras=named)["loras"]
    assert [(each["name"], each["weight"]) for each in stated] == [("someone/style", 0.25), (named[1], 1.0)]
    assert {(each["revision"], each["license"]) for each in stated} == {(commit, "community")}
    assert weights(hub.fetched()) == {"pytorch_lora_weights.safetensors", "more/other.safetensors"}
    assert "someone/style has no none.safetensors" in user.refused("tiny", loras=["someone/style/none.safetensors"])


def test_a_lora_for_another_pipeline_is_refused_before_it_travels(hub: HubServer, user: User, tmp_path: Path) -> None:
    path = lora(open_source("tiny-xl"), tmp_path / "it.safetensors", loras.kohya_xl, {"unet": UNET_MODULES})
    repository = hub.repositories["someone/style"] = Repository()
    padding = {"lora_unet_padding.alpha": np.zeros(1 << 20)}
    repository.commit({"it.safetensors": changed(path.read_bytes(), lambda arrays: arrays.update(padding))}, "main")
    said = refused(user, tmp_path / "bundle", "tiny", "--lora", "someone/style")
    assert "someone/style" in said
    assert "StableDiffusionPipeline" in said or "the UNet lacks" in said
    assert hub.sent["it.safetensors"] < 300_000


def test_a_header_that_is_damaged(hub: HubServer, user: User, tmp_path: Path) -> None:
    repository = hub.repositories["someone/style"] = Repository()
    enormous = (1 << 30).to_bytes(8, "little") + b"{" * 1000
    repository.commit({"a.safetensors": enormous, "b.safetensors": (90).to_bytes(8, "little") + b"{" * 90}, "main")
    for name in "ab":
        said = user.refused(f"someone/style/{name}.safetensors", config=str(EMBEDDED["tiny"]))
        assert (
            said
            == f"{name}.safetensors of someone/style is no safetensors file, or has a damaged header; give another file"
        )
