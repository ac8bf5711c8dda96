"""Quantises or measures the weights of one component, in a graph that is simplified and has its weights bound."""

from __future__ import annotations

import onnx_ir as ir

from turbo_webnn.export.quantize.budget import Costs
from turbo_webnn.export.quantize.choices import measure_choices
from turbo_webnn.export.quantize.fit import Energies
from turbo_webnn.export.quantize.grid import Grid
from turbo_webnn.export.quantize.plan import Quantization
from turbo_webnn.export.quantize.rewrite import QuantizeWeights
from turbo_webnn.export.quantize.rules import options_for
from turbo_webnn.export.quantize.sites import sites
from turbo_webnn.models.component import Component


def quantize(model: ir.Model, component: Component, quantization: Quantization, energies: Energies) -> dict[str, Grid]:
    """Quantise the weights of `model` in place, according to the recipe or the rules; return the grid of each weight.

    Raises:
        RequestError: if the recipe is for other weights.
    """
    weight_sites = list(sites(model.graph))
    if quantization.recipe is None:
        options = options_for(component, weight_sites, quantization.bits)
        grids = {name: weight_options.by_rule for name, weight_options in options.items()}
    else:
        grids = quantization.recipe.grids_for(component.name, weight_sites)
    QuantizeWeights(grids, quantization.form, quantization.scales, energies)(model)
    return grids


def measure_costs(model: ir.Model, component: Component, quantization: Quantization, energies: Energies) -> Costs:
    """Measure each weight of `model` on each grid that a budget may choose for it. Do not use the model afterwards."""
    weight_sites = list(sites(model.graph))
    weights = {site.value for site in weight_sites}
    others = [value for value in model.graph.initializers.values() if value not in weights]
    other_bytes = sum(value.const_value.nbytes for value in others if value.const_value is not None)
    options = options_for(component, weight_sites, quantization.bits)
    choices = {site.name: measure_choices(site, options[site.name], energies.get(site.name)) for site in weight_sites}
    smallest = {name: weight_choices[0].grid for name, weight_choices in choices.items()}
    QuantizeWeights(smallest, quantization.form)(model)
    return Costs(choices, other_bytes + _bytes_without_weights(model))


def _bytes_without_weights(model: ir.Model) -> int:
    """The size of the .onnx file without its weights, as if all weights were in another file, at high offsets."""
    for value in model.graph.initializers.values():
        tensor = value.const_value
        assert tensor is not None
        shape, name = ir.Shape(tensor.shape.numpy()), str(value.name)
        value.const_value = ir.ExternalTensor(
            "model.onnx.data", 1 << 34, tensor.nbytes, tensor.dtype, shape=shape, name=name
        )
    return int(ir.to_proto(model).ByteSize())
