"""A family: a pipeline class as components, the wiring between them, and the schedulers that it is served with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from turbo_webnn.models.component import Component, Size, TensorSpec
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.schedulers.euler import EULER_SCHEDULERS
from turbo_webnn.models.schedulers.scheduler import Scheduler
from turbo_webnn.models.wiring import Outputs, Wiring, split_output


@dataclass(frozen=True)
class Family:
    """A pipeline class and its components, in the order in which they run.

    Attributes:
        name: the name of the family in a bundle's manifest.
        pipeline: the class that a checkpoint's `model_index.json` names.
        components: the components that every checkpoint has.
        wiring: the connections between the components.
        schedulers: the schedulers that are served.
        optional: components that are exported only on request: a checkpoint may lack them, and a pipeline works
            without them.
    """

    name: str
    pipeline: str
    components: tuple[Component, ...]
    wiring: Wiring
    schedulers: tuple[Scheduler, ...] = EULER_SCHEDULERS
    optional: tuple[Component, ...] = ()

    @property
    def known(self) -> tuple[Component, ...]:
        """All components, the optional ones last."""
        return (*self.components, *self.optional)

    @property
    def denoiser(self) -> Component:
        """The component that runs once in each step."""
        return self.component(self.wiring.denoiser)

    @property
    def decoder(self) -> Component:
        """The component that makes pictures."""
        return self.component(self.wiring.decoder)

    def component(self, name: str) -> Component:
        """The component `name`.

        Raises:
            RequestError: if this family has no such component.
        """
        for component in self.known:
            if component.name == name:
                return component
        names = ", ".join(component.name for component in self.known)
        raise RequestError(f"{self.pipeline} has no component {name!r}", f"it has {names}")

    def require_agreement(self, configs: Mapping[str, Mapping[str, Any]]) -> None:
        """Refuse components whose tensors do not fit each other, for example from two checkpoints.

        Args:
            configs: the configs by component name. Components without a config are not compared.

        Raises:
            RequestError: if the denoiser reads other widths than the text encoders give.
        """
        misfit = self.width_misfit(
            configs.keys(), lambda component, spec: spec.shape(Size(), configs[component.name])[-1]
        )
        if misfit is not None:
            raise RequestError(misfit, "give a checkpoint whose parts belong together")

    def width_misfit(self, present: Set[str], width: Callable[[Component, TensorSpec], int]) -> str | None:
        """A text about states whose width differs between text encoders and denoiser; None if all widths agree.

        Args:
            present: the names of the components to compare. Nothing is compared unless the denoiser and all text
                encoders are among them.
            width: returns the width of a component's tensor.
        """
        denoiser = self.denoiser
        if not {denoiser.name, *(encoder.name for encoder in self.text_encoders)} <= present:
            return None
        inputs = {spec.name: spec for spec in denoiser.inputs}
        for name, outputs in self.wiring.conditions.items():
            output_width = sum(width(*self.output(output)) for output in outputs)
            input_width = width(denoiser, inputs[name])
            if input_width != output_width:
                noun = denoiser.part.noun
                return f"the text encoders give {name} of width {output_width}, the {noun} reads {input_width}"
        return None

    def output(self, output: str) -> tuple[Component, TensorSpec]:
        """The component and its output tensor that `output` names, in the form `component.output`."""
        name, tensor = split_output(output)
        component = self.component(name)
        return component, next(spec for spec in component.outputs if spec.name == tensor)

    def inputs_from(self, component: Component) -> Mapping[str, Outputs]:
        """The inputs of `component` that other components compute, by name.

        A decoder reads the latents of the encoder: both have the same scale.
        """
        if component.name == self.wiring.denoiser:
            return self.wiring.conditions
        if component.name == self.wiring.decoder and self.wiring.encoder is not None:
            encoder = self.component(self.wiring.encoder)
            return {component.inputs[0].name: (f"{encoder.name}.{encoder.outputs[0].name}",)}
        return {}

    @property
    def text_encoders(self) -> tuple[Component, ...]:
        """The components that read text."""
        return tuple(component for component in self.components if component.tokenizer is not None)

    @property
    def tokenizers(self) -> tuple[str, ...]:
        """The folders of the tokenizers."""
        return tuple(str(component.tokenizer) for component in self.text_encoders)

    @property
    def text_to_image(self) -> tuple[str, ...]:
        """The components that text to image runs."""
        return (*(encoder.name for encoder in self.text_encoders), self.wiring.denoiser, self.wiring.decoder)

    @property
    def image_to_image(self) -> tuple[str, ...]:
        """The components that image to image runs; empty if there is no encoder."""
        if self.wiring.encoder is None:
            return ()
        encoders = (encoder.name for encoder in self.text_encoders)
        return (*encoders, self.wiring.encoder, self.wiring.denoiser, self.wiring.decoder)

    def chosen(self, names: Iterable[str], *, fed: bool = False) -> tuple[Component, ...]:
        """The components `names`, or all components if `names` is empty.

        With `fed` they include the components that compute inputs of the others.

        Raises:
            RequestError: if this family lacks one.
        """
        chosen = {name: self.component(name) for name in names}
        pending = list(chosen.values()) if fed else []
        while pending:
            outputs = [output for outputs in self.inputs_from(pending.pop()).values() for output in outputs]
            feeders = {split_output(output)[0]: self.output(output)[0] for output in outputs}
            new = {name: component for name, component in feeders.items() if name not in chosen}
            chosen |= new
            pending += new.values()
        return tuple(chosen.values()) or self.components
