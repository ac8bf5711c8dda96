"""The interface of a scheduler: a class of diffusers with affine steps, which a bundle can state as numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.printable import printable
from turbo_webnn.models.schedule import Schedule


class Scheduler(ABC):
    """A scheduler class of diffusers.

    Attributes:
        name: the name of the class, as in a scheduler's config.
    """

    name: str

    @abstractmethod
    def require_served(self, config: Mapping[str, Any]) -> None:
        """Refuse a config whose steps a bundle cannot state. diffusers is not imported.

        Raises:
            RequestError: names the value that is not served, and the values that are served.
        """

    @abstractmethod
    def reference(self, config: Mapping[str, Any]) -> Any:
        """Make the scheduler as diffusers' pipelines do. This imports diffusers."""

    @abstractmethod
    def schedule(self, config: Mapping[str, Any], count: int) -> Schedule:
        """Make the schedule of `count` steps. The caller handles the errors that diffusers raises.

        Raises:
            RequestError: if the numbers make no valid schedule.
        """


def scheduler_of(config: Mapping[str, Any], schedulers: Sequence[Scheduler]) -> Scheduler:
    """Find the scheduler of `config` in `schedulers`.

    Raises:
        RequestError: if the class is not served, or if a value of the config is not served.
    """
    name = config.get("_class_name")
    for scheduler in schedulers:
        if scheduler.name == name:
            scheduler.require_served(config)
            return scheduler
    served = " and ".join(scheduler.name for scheduler in schedulers)
    raise RequestError(f"the scheduler is a {printable(str(name), 80)}", f"served are {served}")
