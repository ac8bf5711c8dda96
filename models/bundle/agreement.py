"""Checks that a manifest's components fit each other, its size, its tokenizers and the contract of its family.

Programs that run a bundle rely on this. Without the check a misfit would cause some other error during a run. Whether
the graphs are as the manifest states is checked when they are loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from functools import partial
from typing import TYPE_CHECKING

from turbo_webnn.models.chain import Chain, Tensor
from turbo_webnn.models.component import Component, Dim, Size, TensorSpec
from turbo_webnn.models.families.registry import find_family
from turbo_webnn.models.parts.clip_text import TOKENS

if TYPE_CHECKING:
    from turbo_webnn.models.bundle.manifest import Manifest


def first_misfit(manifest: Manifest) -> str | None:
    """A text that describes the first misfit; None if there is none, or if the family is unknown."""
    return next(_misfits(manifest), None)


def _misfits(manifest: Manifest) -> Iterator[str]:
    family = find_family(manifest.family)
    if family is None:
        return
    for component in family.known:
        if component.name in manifest.components:
            yield from _component_misfits(manifest, component, manifest.components[component.name])
    misfit = family.width_misfit(manifest.components.keys(), partial(_width, manifest.components))
    if misfit is not None:
        yield misfit
    if manifest.wiring != family.wiring:
        yield f"its wiring is not that of {family.name}"


def _component_misfits(manifest: Manifest, component: Component, chain: Chain) -> Iterator[str]:
    conditions = manifest.conditions if component.name == manifest.wiring.denoiser else {}
    fixed = component.constants(manifest.size).keys() - conditions.keys()  # the graph holds their numbers
    inputs = [spec for spec in component.inputs if spec.name not in fixed]
    yield from _condition_misfits(conditions, fixed, component, chain)
    names = [chain.names.get(spec.name, spec.name) for spec in inputs]
    if len(set(names)) < len(names):
        yield f"two inputs of {component.name} have one name"
    for specs, tensors in ((inputs, chain.inputs), (component.outputs, chain.outputs)):
        by_name = {tensor.name: tensor for tensor in tensors}
        for spec in specs:
            tensor = by_name.get(chain.names.get(spec.name, spec.name))
            if tensor is None:
                yield f"{component.name} lacks {spec.name}"
            elif not _fits(tensor, spec, component, manifest):
                yield f"{component.name} has {spec.name} of shape {list(tensor.shape)}"


def _condition_misfits(
    conditions: Mapping[str, tuple[float, ...]], fixed: Set[str], component: Component, chain: Chain
) -> Iterator[str]:
    """The differences between the rows of `conditions` and those that the component reads.

    The inputs `fixed` are constants of the graph.
    """
    contract_names = {chain.names.get(spec.name, spec.name): spec.name for spec in component.inputs}
    shapes = {contract_names[tensor.name]: tensor.shape for tensor in chain.inputs if tensor.name in contract_names}
    for name, row in conditions.items():
        if name not in shapes:
            yield f"{component.name} takes no {name}"
        elif shapes[name][1:] != (len(row),):
            yield f"the condition {name} has {len(row)} numbers"
    for name in fixed & shapes.keys():
        yield f"there is no condition {name}, which {component.name} takes"


def _fits(tensor: Tensor, spec: TensorSpec, component: Component, manifest: Manifest) -> bool:
    """Whether `tensor` has the shape of `spec`, as far as the manifest contains the numbers."""
    dims = list(spec.dims)
    if dims == [1] and tensor.shape == ():  # one number may be a scalar
        return True
    channels = dims[1] if len(dims) > 1 else None
    if manifest.components[component.name].adapters.get(spec.name) is not None and isinstance(channels, int):
        dims[1] = 2 * channels
    tokenizers = manifest.tokenizers.items()
    lengths = {tokenizer.length for name, tokenizer in tokenizers if component.tokenizer in (None, name)} or {TOKENS}
    # one prompt may serve all pictures: a component with only batched inputs may have batch 1
    only_batched = all(input_spec.dims[0] == "batch" for input_spec in component.inputs)
    batches = {manifest.size.batch, 1} if only_batched else {manifest.size.batch}
    return len(dims) == len(tensor.shape) and all(
        number in _allowed_numbers(dim, manifest.size, lengths, batches) if _is_known(dim) else number > 0
        for dim, number in zip(dims, tensor.shape, strict=True)
    )


def _is_known(dim: Dim) -> bool:
    """Whether the number follows without a config."""
    return isinstance(dim, int) or (isinstance(dim, str) and hasattr(Size, dim))


def _allowed_numbers(dim: Dim, size: Size, lengths: set[int], batches: set[int]) -> set[int]:
    """The numbers that the dimension `dim` may have."""
    if dim == TOKENS:
        return lengths
    if dim == "batch":
        return batches
    return {dim} if isinstance(dim, int) else {getattr(size, str(dim))}


def _width(chains: Mapping[str, Chain], component: Component, spec: TensorSpec) -> int:
    """The last dimension of the tensor of `spec`. The tensor must exist and must not be a scalar."""
    chain = chains[component.name]
    name = chain.names.get(spec.name, spec.name)
    tensors = chain.inputs if spec in component.inputs else chain.outputs
    return next(tensor.shape[-1] for tensor in tensors if tensor.name == name)
