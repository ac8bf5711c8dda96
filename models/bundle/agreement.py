"""Whether a manifest's components fit each other, its size, its tokenizers and the contract of its family.

What runs a bundle takes that for granted: without it each misfit would show as an error of its own in the midst of a
run. Whether graphs are what the manifest says is asked where they are loaded.
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
    """What does not fit first, in words; None where all does, or the family is none that is known."""
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
    """Where the rows of `conditions` are not the ones that the component reads; its graph holds those of `fixed`."""
    read = {chain.names.get(spec.name, spec.name): spec.name for spec in component.inputs}
    shapes = {read[tensor.name]: tensor.shape for tensor in chain.inputs if tensor.name in read}
    for name, row in conditions.items():
        if name not in shapes:
            yield f"{component.name} takes no {name}"
        elif shapes[name][1:] != (len(row),):
            yield f"the condition {name} has {len(row)} numbers"
    for name in fixed & shapes.keys():
        yield f"there is no condition {name}, which {component.name} takes"


def _fits(tensor: Tensor, spec: TensorSpec, component: Component, manifest: Manifest) -> bool:
    """Whether `tensor` has the shape that `spec` says, as far as the manifest tells the numbers."""
    dims = list(spec.dims)
    if dims == [1] and tensor.shape == ():  # a number may lose its one dimension
        return True
    channels = dims[1] if len(dims) > 1 else None
    if manifest.components[component.name].adapters.get(spec.name) == "first_half" and isinstance(channels, int):
        dims[1] = 2 * channels
    read = [entry.length for name, entry in manifest.tokenizers.items() if component.tokenizer in (None, name)]
    lengths = set(read) or {TOKENS}
    # one prompt may serve all pictures: who takes nothing else may take them one by one
    alone = all(each.dims[0] == "batch" for each in component.inputs)
    batches = {manifest.size.batch, 1} if alone else {manifest.size.batch}
    return len(dims) == len(tensor.shape) and all(
        found in _numbers(dim, manifest.size, lengths, batches) if _is_known(dim) else found > 0
        for dim, found in zip(dims, tensor.shape, strict=True)
    )


def _is_known(dim: Dim) -> bool:
    """Whether no config is needed to tell the number."""
    return isinstance(dim, int) or (isinstance(dim, str) and hasattr(Size, dim))


def _numbers(dim: Dim, size: Size, lengths: set[int], batches: set[int]) -> set[int]:
    """What `dim` may be."""
    if dim == TOKENS:
        return lengths
    if dim == "batch":
        return batches
    return {dim} if isinstance(dim, int) else {getattr(size, str(dim))}


def _width(chains: Mapping[str, Chain], component: Component, spec: TensorSpec) -> int:
    """The last dimension of what `spec` describes, which is there and has one."""
    chain = chains[component.name]
    name = chain.names.get(spec.name, spec.name)
    tensors = chain.inputs if spec in component.inputs else chain.outputs
    return next(tensor.shape[-1] for tensor in tensors if tensor.name == name)
