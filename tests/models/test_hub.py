"""Fetching, against a hub on this machine."""

from __future__ import annotations

import json

import pytest
import safetensors.numpy
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from tests.models.hub_server import HubServer, Repository
from tests.models.hub_user import CARD, DECOYS, NAME, OFFLINE, TEXT, UNET, VAE, WEIGHTS, User, weights
from turbo_webnn.models.checkpoint import Checkpoint
from turbo_webnn.models.hub import is_repo_id
from turbo_webnn.models.hub.snapshot import shown_progress
from turbo_webnn.models.source import EMBEDDED


def sharded(files: dict[str, bytes], index: str, shard: str) -> set[str]:
    """Put the UNet of `files` into two shards; return their names."""
    tensors = safetensors.numpy.load(files.pop(f"{UNET}.safetensors"))
    names = sorted(tensors)
    halves = (names[: len(names) // 2], names[len(names) // 2 :])
    weight_map: dict[str, str] = {}
    for number, half in enumerate(halves, 1):
        path = f"{UNET}{shard.format(f'{number:05}-of-00002')}"
        files[path] = safetensors.numpy.save({name: tensors[name] for name in half})
        weight_map |= dict.fromkeys(half, path.removeprefix("unet/"))
    files[f"{UNET}{index}"] = json.dumps({"weight_map": weight_map}).encode()
    return {f"unet/{path}" for path in weight_map.values()}


def test_only_what_an_export_reads_is_fetched(hub: HubServer, user: User, turbo: Repository) -> None:
    source = user.open()
    fetched = hub.fetched()
    assert weights(fetched) == WEIGHTS
    assert not fetched & set(DECOYS)
    assert {"model_index.json", "unet/config.json", "tokenizer/vocab.json", "README.md"} <= fetched
    assert (source.name, source.revision, source.variant) == (NAME, turbo.refs["main"], None)
    assert source.license == "community"
    for component in source.family.components:
        source.config(component)
        assert source.checkpoint(component).count() > 0


def test_what_is_in_the_cache_is_not_fetched_again(hub: HubServer, user: User, turbo: Repository) -> None:
    first = user.open()
    hub.fetched()
    assert user.open() == first
    assert hub.fetched() == set()


def test_offline_the_cache_serves(hub: HubServer, user: User, turbo: Repository) -> None:
    first = user.open()
    hub.fetched()
    assert user.open(environment=OFFLINE) == first
    assert not hub.asked
    hub.alive = False  # nor does a hub that is down matter
    assert user.open(environment={"HF_ENDPOINT": "http://127.0.0.1:9"}) == first


def test_offline_and_not_in_the_cache(user: User, turbo: Repository) -> None:
    assert "not whole in the cache" in user.refused(environment=OFFLINE)
    user.open(components=["vae_decoder"])
    said = user.refused(environment=OFFLINE)
    assert said.startswith(f"{NAME} is no folder, not whole in the cache, and the hub is out of reach;")
    assert "HF_HUB_OFFLINE" in said


def test_a_revision_is_a_branch_a_tag_or_a_commit(user: User, turbo: Repository, files: dict[str, bytes]) -> None:
    old = turbo.refs["main"]
    new = turbo.commit(files | {"README.md": b"---\nlicense: mit\n---\n"}, "main", "refs/pr/1")
    turbo.refs["v1"] = old
    assert user.open().revision == new
    assert user.open(revision="refs/pr/1").license == "mit"
    assert user.open(revision=old).license == "community"
    assert user.open(revision="v1").revision == old
    assert user.open(revision="v1", environment=OFFLINE).revision == old


@pytest.mark.parametrize("revision", ["v2", "0" * 40])
def test_a_revision_that_is_not_there(user: User, turbo: Repository, revision: str) -> None:
    said = f"{NAME} has no revision '{revision}'; give a branch, a tag or a commit"
    assert user.refused(revision=revision) == said


def test_a_repository_that_is_not_there(user: User) -> None:
    said = user.refused("someone/nothing")
    assert said.startswith("there is no folder someone/nothing, and the hub has no model of that id")


def test_a_gated_repository(hub: HubServer, user: User, turbo: Repository) -> None:
    turbo.token, turbo.gated = "secret", True
    assert user.refused() == f"{NAME} is gated; accept its licence on its page, then run: hf auth login"
    assert user.open(environment={"HF_TOKEN": "secret"}).revision == turbo.refs["main"]


def test_a_private_repository(hub: HubServer, user: User, turbo: Repository) -> None:
    turbo.token = "secret"
    assert "keeps it private; check the name; for a private one set HF_TOKEN" in user.refused()
    assert user.open(environment={"HF_TOKEN": "secret"}).revision == turbo.refs["main"]
    large = [asked for asked in hub.asked if asked.file in WEIGHTS]
    assert large
    assert not any(asked.authorized for asked in large)  # the token stays with the hub


def test_a_token_that_is_no_longer_valid(user: User, turbo: Repository) -> None:
    said = user.refused(environment={"HF_TOKEN": "old"})
    assert said == f"the hub refuses {NAME} to this user (401); check HF_TOKEN, or run: hf auth login"


def test_a_variant_is_fetched_alone(hub: HubServer, user: User, turbo: Repository) -> None:
    source = user.open(variant="fp16")
    assert weights(hub.fetched()) == {f"{stem}.fp16.safetensors" for stem in (TEXT, UNET, VAE)}
    assert source.variant == "fp16"
    assert all(source.checkpoint(component).count() for component in source.family.components)


def test_a_variant_that_is_not_there_costs_no_weights(hub: HubServer, user: User, turbo: Repository) -> None:
    held = "it has weights without --variant or with --variant fp16"
    assert user.refused(variant="bf16") == f"{NAME}/text_encoder has no model.bf16.safetensors; {held}"
    assert weights(hub.fetched()) == set()


def test_one_component_brings_its_weights_alone(hub: HubServer, user: User, turbo: Repository) -> None:
    user.open(components=["vae_decoder"])
    assert weights(hub.fetched()) == {f"{VAE}.safetensors"}
    user.open(components=["vae_encoder", "text_encoder"])
    assert weights(hub.fetched()) == {f"{TEXT}.safetensors"}
    assert user.refused(components=["vae"]).startswith("StableDiffusionPipeline has no component 'vae'; it has")


def test_what_feeds_a_component_comes_with_it(hub: HubServer, user: User, turbo: Repository) -> None:
    user.open(components=["unet"], fed=True)
    assert weights(hub.fetched()) == {f"{UNET}.safetensors", f"{TEXT}.safetensors"}


def test_another_repositorys_vae_is_fetched_in_place_of_its_own(
    hub: HubServer, user: User, turbo: Repository, files: dict[str, bytes]
) -> None:
    alone = {path.removeprefix("vae/"): held for path, held in files.items() if path.startswith("vae/")}
    retuned = hub.repositories["someone/vae"] = Repository()
    retuned.commit({**alone, "sdxl_vae.safetensors": b"not for us", "README.md": CARD}, "main")
    provenance = user.provenance(parts={"vae": "someone/vae"})
    vae = {"name": "someone/vae", "revision": retuned.refs["main"], "variant": None, "license": "community"}
    assert provenance["vae"] == vae
    fetched = weights(hub.fetched())
    assert fetched == WEIGHTS - {f"{VAE}.safetensors"} | {"diffusion_pytorch_model.safetensors"}
    assert user.provenance("tiny", parts={"vae": NAME})["vae"]["revision"] == turbo.refs["main"]
    assert weights(hub.fetched()) == {f"{VAE}.safetensors"}


def test_a_vae_that_is_not_there_is_told_before_anything_is_fetched(
    hub: HubServer, user: User, turbo: Repository, files: dict[str, bytes]
) -> None:
    hub.repositories["someone/vae"] = Repository()
    hub.repositories["someone/vae"].commit({"config.json": files["vae/config.json"], "vae.bin": b""}, "main")
    assert user.refused(parts={"vae": "someone/vae"}).startswith(
        "someone/vae holds its weights as a pickle, which runs code"
    )
    hub.repositories["someone/nothing"] = Repository()
    hub.repositories["someone/nothing"].commit({"README.md": CARD}, "main")
    assert user.refused(parts={"vae": "someone/nothing"}).startswith("someone/nothing has no AutoencoderKL: neither")
    assert weights(hub.fetched()) == set()


@pytest.mark.parametrize(
    ("variant", "index", "shard"),
    [
        (None, ".safetensors.index.json", "-{}.safetensors"),
        ("fp16", ".safetensors.index.fp16.json", ".fp16-{}.safetensors"),
        ("fp16", ".fp16.safetensors.index.json", "-{}.fp16.safetensors"),
    ],
)
def test_shards_are_fetched_whole(
    hub: HubServer, user: User, files: dict[str, bytes], variant: str | None, index: str, shard: str
) -> None:
    count = Checkpoint.open(EMBEDDED["tiny"] / "unet", "diffusion_pytorch_model").count()
    shards = sharded(files, index, shard)
    if variant:
        del files[f"{UNET}.fp16.safetensors"]
    hub.repositories[NAME] = Repository()
    hub.repositories[NAME].commit(files, "main")
    source = user.open(variant=variant, components=["unet"])
    assert weights(hub.fetched()) == shards
    assert source.checkpoint(source.family.component("unet")).count() == count


def test_an_index_whose_shard_is_not_there(hub: HubServer, user: User, files: dict[str, bytes]) -> None:
    shards = sharded(files, ".safetensors.index.json", "-{}.safetensors")
    lost = max(shards)
    del files[lost]
    hub.repositories[NAME] = Repository()
    hub.repositories[NAME].commit(files, "main")
    assert user.refused(components=["unet"]).startswith(f"{NAME} has no {lost}, which its index names;")
    assert weights(hub.fetched()) == set()


def test_pickles_are_not_fetched_but_told(hub: HubServer, user: User, files: dict[str, bytes]) -> None:
    kept = {path: held for path, held in files.items() if not path.endswith(".safetensors")}
    hub.repositories[NAME] = Repository()
    hub.repositories[NAME].commit(kept, "main")
    said = user.refused(components=["unet"])
    assert said.startswith(f"{NAME}/unet holds its weights as a pickle, which runs code when it is read; save them")
    assert not {file for file in hub.fetched() if file.endswith(".bin")}


def test_a_repository_without_a_pipeline(hub: HubServer, user: User) -> None:
    hub.repositories[NAME] = Repository()
    hub.repositories[NAME].commit({"turbo.safetensors": b"", "README.md": CARD}, "main")
    assert user.refused() == f"{NAME} has no model_index.json; give the id of a diffusers pipeline"


def test_a_hub_that_dies_in_the_middle(hub: HubServer, user: User, turbo: Repository) -> None:
    hub.dies_in = f"{UNET}.safetensors"
    said = user.refused(components=["unet"])
    assert said.startswith(f"fetching {NAME} failed (")
    assert said.endswith("); try again: files that arrived whole are kept")
    hub.dies_in, hub.alive = None, True
    assert "not whole in the cache" in user.refused(components=["unet"], environment=OFFLINE)
    hub.fetched()
    source = user.open(components=["unet"])
    assert hub.fetched() == {f"{UNET}.safetensors"}
    assert source.checkpoint(source.family.component("unet")).count() > 0


def test_progress_bars_are_left_as_they_were() -> None:
    for disabled in (False, True):
        (disable_progress_bars if disabled else enable_progress_bars)()
        with shown_progress(shown=False):
            assert are_progress_bars_disabled()
        assert are_progress_bars_disabled() == disabled
    enable_progress_bars()


def test_an_endpoint_that_is_no_hub(hub: HubServer, user: User) -> None:
    assert "out of reach" in user.refused(environment={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert "missing an 'http://'" in user.refused(environment={"HF_ENDPOINT": "nonsense"})
    said = user.refused(environment={"HF_ENDPOINT": f"{hub.endpoint}/page"})
    assert (
        said
        == f"fetching {NAME} failed: the answer is not a hub's (it has no JSON that can be read); check HF_ENDPOINT"
    )


@pytest.mark.parametrize(
    ("source", "is_id"),
    [
        ("someone/turbo", True),
        ("some-one/turbo_v1.5", True),
        ("turbo", False),
        ("a/b/c", False),
        ("../turbo", False),
        ("./turbo", False),
        ("/some/turbo", False),
        ("someone/tur--bo", False),
        ("someone/", False),
    ],
)
def test_what_a_hub_id_looks_like(source: str, is_id: bool) -> None:
    assert is_repo_id(source) == is_id
