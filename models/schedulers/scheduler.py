"""A scheduler: a class of diffusers whose steps are affine, so that a bundle can state them as numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.printable import printable
from turbo_webnn.models.schedule import Schedule


class Scheduler(ABC):
    """A class of diffusers by its name there.

    Attributes:
        name: the class, as a scheduler's config states it.
    """

    name: str

    @abstractmethod
    def require_served(self, config: Mapping[str, Any]) -> None:
        """Refuse a config whose steps a bundle cannot state, without diffusers.

        Raises:
            RequestError: names the value, and what would be served.
        """

    @abstractmethod
    def reference(self, config: Mapping[str, Any]) -> Any:
        """The scheduler as diffusers' pipelines have it. diffusers is imported here."""

    @abstractmethod
    def schedule(self, config: Mapping[str, Any], count: int) -> Schedule:
        """The schedule of `count` steps. What diffusers raises is left to the caller.

        Raises:
            RequestError: where the numbers make no schedule.
        """


def scheduler_of(config: Mapping[str, Any], schedulers: Sequence[Scheduler]) -> Scheduler:
    """The one of `schedulers` that `config` is of, if its steps can be stated.

    Raises:
        RequestError: where the class is not served, or a value is not one that the class has a meaning for.
    """
    name = config.get("_class_name")
    for scheduler in schedulers:
        if scheduler.name == name:
            scheduler.require_served(config)
            return scheduler
    served = " and ".join(scheduler.name for scheduler in schedulers)
    raise RequestError(f"the scheduler is a {printable(str(name), 80)}", f"served are {served}")
