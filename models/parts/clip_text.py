"""CLIP's text encoders: CLIPTextModel, and CLIPTextModelWithProjection, which also outputs pooled embeddings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from turbo_webnn.models.component import Component, Size, TensorSpec
from turbo_webnn.models.parts.forms.clip import ClipTextForm
from turbo_webnn.models.parts.libraries import load_transformers
from turbo_webnn.models.parts.original_names import ignored_clip_names, rename_clip
from turbo_webnn.models.parts.part import Config, Part, ServedValues
from turbo_webnn.models.parts.probe_inputs import seeded_generator
from turbo_webnn.models.parts.weight_rules import WeightRules

if TYPE_CHECKING:
    from turbo_webnn.models.checkpoint import Tensor

TOKENS = 77
"""Length of a CLIP prompt: max_position_embeddings of every published text encoder."""

CARRYING = ("self_attn.v_proj.weight", "self_attn.out_proj.weight", "text_projection.weight")
"""The weights of the values that CLIP's attention moves between tokens, and of the final projection. With 8 bits in
these weights, pictures of a trained small pipeline had 45.8 dB instead of 43.3, the same as with 8 bits in the whole
text encoder. With 8 bits in queries and keys, which need the same space, they had 43.2."""

FIRST_LAYER = "encoder.layers.0."
"""The layer that gets twice the bits: with 4 bits in it, the noise of pictures increased by 88 percent."""

_SERVED: ServedValues = (
    ("max_position_embeddings", (TOKENS,)),
    ("hidden_act", ("gelu", "quick_gelu")),
    ("text_config", (None,)),  # if there is one, transformers reads only it and ignores the rest of the config
    ("return_dict", (True,)),  # with False the module returns a tuple, and SDXL's pipeline reads its fields by name
)

_UNPROJECTED_ATTENTION: ServedValues = (("use_attention_mask", (False, None)),)
"""StableDiffusionPipeline masks padding if the config of the encoder sets this; StableDiffusionXLPipeline does not read
it."""


_UNUSED = re.compile(r"(^|\.)(logit_scale|attn_mask)$|^(vision_model|visual_projection)\.")
"""CLIP's parameters for the comparison of texts with pictures, and OpenCLIP's mask."""

_PROJECTION = re.compile(r"^(cond_stage_model|conditioner)\..*\.text_projection(\.weight)?$")
"""A projection that CLIPTextModel does not have; some programs write it to single files with every text encoder."""

States = Literal["last_hidden_state", "hidden_states"]
"""The final states, or the states before the last layer. In the second case the last layer is not computed."""


@dataclass(frozen=True)
class ClipText(Part):
    """CLIPTextModel.

    Attributes:
        states: the states that the pipeline reads.
    """

    states: States = "last_hidden_state"
    _unread: ClassVar[tuple[re.Pattern[str], ...]] = (_PROJECTION,)

    module = "CLIPTextModel"
    noun = "text encoder"
    weights_stem = "model"
    called = "forward"
    form: ClassVar[type[object]] = ClipTextForm
    key_rules: ClassVar[tuple[tuple[str, str], ...]] = (("", "text_model."),)  # transformers 5 saves without the prefix
    weights = WeightRules(doubled=(FIRST_LAYER,), fine=((), CARRYING), ignored_prefix="text_model.")
    gains = {"token_embedding.weight": 0.02, "position_embedding.weight": 0.01}  # noqa: RUF012 - read only

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Token ids."""
        return (TensorSpec("input_ids", "int", ("batch", TOKENS)),)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The states of every token."""
        return (TensorSpec(self.states, "float", ("batch", TOKENS, "hidden_size")),)

    @property
    def served(self) -> ServedValues:
        """The config values that the graph needs."""
        return (*_SERVED, *(_UNPROJECTED_ATTENTION if self.states == "last_hidden_state" else ()))

    def build(self, config: Config) -> Any:
        """The module in float32. A published config names the type in which it was saved, which is ignored."""
        import torch
        from transformers import CLIPTextConfig

        return (
            self._class()._from_config(CLIPTextConfig(**config), attn_implementation="sdpa", dtype=torch.float32).eval()
        )

    def renamed(self, module: Any, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors, renamed by diffusers' rules if they are of a single file."""
        return rename_clip(module, tensors)

    def ignores(self, name: str) -> bool:
        """Whether `name` is of another half of CLIP, or of a layer that no pipeline uses."""
        unread = (_UNUSED, *self._unread)
        return any(pattern.search(name) for pattern in unread) or name in ignored_clip_names()

    def needs(self, parameter: str) -> bool:
        """Whether the states depend on `parameter`: those before the last layer do not depend on that layer.

        The number of layers is not known here, so that no layer of such a text encoder counts as needed.
        """
        is_after = ".layers." in f".{parameter}" or "final_layer_norm" in parameter
        return self.states == "last_hidden_state" or not is_after

    def preload(self) -> None:
        """Import the class."""
        self._class()

    def load(self, folder: Path, variant: str | None, dtype: Any) -> tuple[Any, Sequence[str]]:
        """Load the module with transformers."""
        return load_transformers(self._class(), folder, variant, dtype)

    def trace(self, module: Any, component: Component, size: Size, input_ids: Any) -> Any:
        """The outputs of `component` from ids [batch, 77]."""
        import torch

        names = [spec.name for spec in component.outputs]
        # positions are computed in the trace: the module's own buffer has no numbers under fake tensors
        positions = torch.arange(TOKENS).unsqueeze(0)  # [1, 77]
        encoder = getattr(module, "text_model", module)
        has_layer_states = any(name.startswith("hidden_states") for name in names)
        states = encoder(input_ids=input_ids, position_ids=positions, output_hidden_states=has_layer_states)
        by_layer = {f"hidden_states.{index}": state for index, state in enumerate(states.hidden_states or ())}
        # nodes that no output needs are dropped from the graph: the last layer if its states are not read
        outputs: Mapping[str, Callable[[], Any]] = {
            "last_hidden_state": lambda: states.last_hidden_state,
            "hidden_states": lambda: states.hidden_states[-2],
            "text_embeds": lambda: module.text_projection(
                _pooled(states.last_hidden_state, input_ids, module.config.eos_token_id)
            ),
        }
        return tuple(by_layer[name] if name in by_layer else outputs[name]() for name in names)

    def reference(self, module: Any, component: Component, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Encode as both pipelines do. SDXL's pipeline reads the states before the last layer."""
        has_layer_states = any(spec.name == "hidden_states" for spec in component.outputs)
        return _read_states(component, module(inputs["input_ids"], output_hidden_states=has_layer_states))

    def observed(
        self, module: Any, component: Component, arguments: Sequence[Any], named: Mapping[str, Any], result: Any
    ) -> tuple[Mapping[str, Any], tuple[Any, ...]]:
        """Both pipelines give the ids by position."""
        return {component.inputs[0].name: arguments[0]}, _read_states(component, result)

    def probe(self, spec: TensorSpec, shape: tuple[int, ...], config: Config) -> Any:
        """Two prompts: a short one, padded with the end-of-text token, and a long one, padded with "!" (id 0).

        The families pad in these two ways. A CLIP vocabulary ends with the tokens for start and end of text.
        """
        import torch

        batch, length = shape
        start, end = config["vocab_size"] - 2, config["vocab_size"] - 1
        ids = torch.randint(1, start, (batch, length), generator=seeded_generator(), dtype=torch.int32)
        ids[:, 0] = start
        ids[0, length // 8 :] = end
        ids[1, length // 2] = end
        ids[1, length // 2 + 1 :] = 0
        return ids

    def _class(self) -> Any:
        import transformers

        return getattr(transformers, self.module)


@dataclass(frozen=True)
class ClipTextWithProjection(ClipText):
    """CLIPTextModelWithProjection."""

    module = "CLIPTextModelWithProjection"
    key_rules = ()
    _unread = ()

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The states of every token, and the embedding of the text."""
        return (*super().outputs, TensorSpec("text_embeds", "float", ("batch", "projection_dim")))

    @property
    def served(self) -> ServedValues:
        """The config values that the graph needs."""
        return _SERVED

    def needs(self, parameter: str) -> bool:
        """Every parameter: the text's embedding depends on all layers."""
        return True


def _read_states(component: Component, outputs: Mapping[str, Any]) -> tuple[Any, ...]:
    """The outputs of `component` among the outputs of its module. The states are those before the last layer."""
    names = [spec.name for spec in component.outputs]
    return tuple(outputs[name][-2] if name == "hidden_states" else outputs[name] for name in names)


def _pooled(states: Any, ids: Any, end: int) -> Any:
    """The states at the end of the text, [batch, width], as CLIPTextModel selects them.

    The end is the first position of the token `end`. If `end` is 2, as in all configs published before 2023, it is the
    first position of the highest id. WebNN does not have int64, the output type of ArgMax, and cannot gather another
    position in each row. So each position gets a rank in int32, higher for earlier ones, and an exact product selects
    the position of the highest rank.
    """
    import torch

    ranks = ids if end == 2 else (ids == end).to(torch.int32)  # [batch, 77]
    ranks = ranks * TOKENS - torch.arange(TOKENS, dtype=torch.int32)  # no two are equal
    selection = (ranks == ranks.amax(dim=1, keepdim=True)).to(states.dtype)
    return (selection.unsqueeze(1) @ states).squeeze(1)
