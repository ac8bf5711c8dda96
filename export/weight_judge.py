"""Judges the weights of a plan by the headers of their files, before the files are downloaded. Imports torch."""

from __future__ import annotations

import torch

from turbo_webnn.export.request import ExportPlan
from turbo_webnn.models.checkpoint import Checkpoint
from turbo_webnn.models.component import Component
from turbo_webnn.models.modules import build_meta, weights_of


def judge(plan: ExportPlan) -> None:
    """Refuse weights that do not fit the configs of the source.

    Raises:
        RequestError: names the tensor that is missing, that no parameter reads, or that has another shape or type.
    """
    for component in plan.read:
        module = build_meta(component, plan.source.config(component))
        _require_parameters(component, module, weights_of(plan.source, component, module))


def _require_parameters(component: Component, module: torch.nn.Module, checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint without a parameter that the graph of `component` may need, or with another shape of it."""
    for name, parameter in module.named_parameters():
        keys = component.keys(name)
        if component.part.needs(name) or any(key in checkpoint.tensors for key in keys):
            checkpoint.tensor(tuple(parameter.shape), *keys)
