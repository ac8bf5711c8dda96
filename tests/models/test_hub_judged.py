"""What configs and listings tell is told before any weights are fetched; and which variant of them is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.models.hub_server import Fault, HubServer, Repository, listing_of
from tests.models.hub_user import CARD, NAME, OFFLINE, TEXT, UNET, VAE, User, weights

ONE: dict[str, Any] = {"components": ["text_encoder"]}


def listed_with(files: dict[str, bytes], path: str, size: int) -> Fault:
    """A hub that states another size of `path`."""
    entries = listing_of(files)
    for entry in entries:
        if entry["path"] == path:
            entry["size"] = size

    def fault(request: Any) -> bool:
        if "/tree/" in request.path:
            request.send_json(entries)
        return "/tree/" in request.path

    return fault


def test_weights_that_the_disk_has_no_room_for(
    hub: HubServer, user: User, turbo: Repository, files: dict[str, bytes]
) -> None:
    hub.fault = listed_with(files, f"{UNET}.safetensors", 10**14)
    said = user.refused()
    assert said.startswith("the weights take 100000.0 GB and ")
    assert said.endswith("free some space, or set HF_HOME to a folder on another disk")
    assert weights(hub.fetched()) == set()


def test_an_enormous_card_is_left_out_and_an_enormous_config_refused(
    hub: HubServer, user: User, turbo: Repository, files: dict[str, bytes]
) -> None:
    hub.fault = listed_with(files, "README.md", 10**10)
    assert user.open(**ONE).license is None
    assert "README.md" not in hub.fetched()
    turbo.commit(files | {"README.md": CARD + b"\n"}, "main")
    hub.fault = listed_with(files, "unet/config.json", 10**10)
    assert "unet/config.json of someone/turbo has 10000.0 MB" in user.refused(**ONE)


def config_with(files: dict[str, bytes], path: str, **values: Any) -> dict[str, bytes]:
    return {**files, path: json.dumps(json.loads(files[path]) | values).encode()}


@pytest.mark.parametrize(
    ("path", "values", "said"),
    [
        ("scheduler/scheduler_config.json", {"_class_name": "PNDMScheduler"}, "the scheduler is a PNDMScheduler"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 0}, "the scheduler has num_train_timesteps = 0"),
        ("unet/config.json", {"in_channels": 9}, "in_channels = 9; unet is served with 4"),
        ("unet/config.json", {"cross_attention_dim": 96}, "the text encoders give encoder_hidden_states of width"),
        ("vae/config.json", {"_class_name": "AutoencoderTiny"}, "vae_decoder must be AutoencoderKL"),
        ("model_index.json", {"_class_name": "FluxPipeline"}, "holds a FluxPipeline"),
    ],
)
def test_what_configs_tell_costs_no_weights(
    hub: HubServer, user: User, turbo: Repository, files: dict[str, bytes], path: str, values: dict[str, Any], said: str
) -> None:
    turbo.commit(config_with(files, path, **values), "main")
    assert said in user.refused()
    assert weights(hub.fetched()) == set()


def test_what_the_config_of_a_part_tells_costs_no_weights(
    hub: HubServer, user: User, turbo: Repository, files: dict[str, bytes]
) -> None:
    other = hub.repositories["someone/vae"] = Repository()
    other.commit(config_with(files, "vae/config.json", latent_channels=16), "main")
    assert "latent_channels = 16" in user.refused(parts={"vae": "someone/vae"})
    other.commit(files, "main")
    turbo.commit(config_with(files, "unet/config.json", in_channels=9), "main")
    assert "in_channels = 9" in user.refused(parts={"vae": "someone/vae"})
    assert weights(hub.fetched()) == set()


def test_each_component_gives_the_variant_that_it_has(
    hub: HubServer, user: User, turbo: Repository, files: dict[str, bytes]
) -> None:
    for lacking in (f"{UNET}.safetensors", f"{UNET}.non_ema.safetensors", f"{VAE}.fp16.safetensors"):
        del files[lacking]
    turbo.commit(files, "main")
    source = user.open(variant="fp16")
    assert weights(hub.fetched()) == {f"{TEXT}.fp16.safetensors", f"{UNET}.fp16.safetensors", f"{VAE}.safetensors"}
    assert source.variants == {"vae": None}
    assert source.notices == (f"{NAME}: vae has no fp16 weights; its main ones are read",)
    assert user.open(variant="fp16", environment=OFFLINE) == source
    source = user.open()
    assert source.variants == {"unet": "fp16"}
    assert source.notices == (f"{NAME}: unet has no main weights; its fp16 ones are read",)
    assert all(source.checkpoint(component).count() for component in source.family.components)


def test_a_choice_of_variants_is_the_users(user: User, turbo: Repository, files: dict[str, bytes]) -> None:
    del files[f"{UNET}.safetensors"], files[f"{UNET}-00001-of-00002.safetensors"]
    turbo.commit(files, "main")
    said = user.refused(components=["unet"])
    assert said.endswith("it has weights with --variant fp16 or with --variant non_ema")


def test_a_part_gives_the_variant_that_it_has(hub: HubServer, user: User, files: dict[str, bytes]) -> None:
    other = hub.repositories["someone/vae"] = Repository()
    del files[f"{VAE}.safetensors"]
    other.commit(files, "main")
    stated = user.provenance("tiny", parts={"vae": "someone/vae"})["vae"]
    assert stated["variants"] == {"vae": "fp16"}
    assert weights(hub.fetched()) == {f"{VAE}.fp16.safetensors"}
