"""One component's weights, quantised or measured, its graph being simplified and bound."""

from __future__ import annotations

import onnx_ir as ir

from turbo_webnn.export.quantize.budget import Costs
from turbo_webnn.export.quantize.choices import choices
from turbo_webnn.export.quantize.fit import Energies
from turbo_webnn.export.quantize.grid import Grid
from turbo_webnn.export.quantize.plan import Quantization
from turbo_webnn.export.quantize.rewrite import QuantizeWeights
from turbo_webnn.export.quantize.rules import options_for
from turbo_webnn.export.quantize.sites import sites
from turbo_webnn.models.component import Component


def quantize(model: ir.Model, component: Component, asked: Quantization, energies: Energies) -> dict[str, Grid]:
    """Quantise the weights of `model` in place, as its recipe or the rules say; return the grid of each.

    Raises:
        RequestError: where the recipe is for other weights.
    """
    found = list(sites(model.graph))
    if asked.recipe is None:
        grids = {name: option.by_rule for name, option in options_for(component, found, asked.bits).items()}
    else:
        grids = asked.recipe.grids_for(component.name, found)
    QuantizeWeights(grids, asked.form, asked.scales, energies)(model)
    return grids


def costs(model: ir.Model, component: Component, asked: Quantization, energies: Energies) -> Costs:
    """Measure each weight of `model` on each grid that a budget may choose for it. The model is used up."""
    found = list(sites(model.graph))
    weights = {site.value for site in found}
    others = [value for value in model.graph.initializers.values() if value not in weights]
    rest = sum(value.const_value.nbytes for value in others if value.const_value is not None)
    options = options_for(component, found, asked.bits)
    by_name = {site.name: choices(site, options[site.name], energies.get(site.name)) for site in found}
    leanest = {name: each[0].grid for name, each in by_name.items()}
    QuantizeWeights(leanest, asked.form)(model)
    return Costs(by_name, rest + _bytes_without_weights(model))


def _bytes_without_weights(model: ir.Model) -> int:
    """What the .onnx file takes beside its weights, as if all of them lay in another file, at high offsets."""
    for value in model.graph.initializers.values():
        tensor = value.const_value
        assert tensor is not None
        shape, name = ir.Shape(tensor.shape.numpy()), str(value.name)
        value.const_value = ir.ExternalTensor(
            "model.onnx.data", 1 << 34, tensor.nbytes, tensor.dtype, shape=shape, name=name
        )
    return int(ir.to_proto(model).ByteSize())
