"""The settings of onnxruntime: provider, threads, precision of products, and further options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.ort.provider import EXECUTION_PROVIDER, Provider, choose_provider, onnxruntime

_CONFIG = ("session.", "optimization.", "ep.")
"""The prefixes of keys of the session configuration; keys of provider options have no dot."""


@dataclass(frozen=True)
class Settings:
    """Settings for all graphs of a run.

    Attributes:
        provider: where to run.
        threads: the number of threads of the CPU provider; None for one per core.
        tf32: whether CUDA rounds float32 factors to 10 bits of mantissa. This is faster, but without parity with
            PyTorch's float32. It has no effect on float16.
        fuse: whether attention is fused when graphs load (`fusing.py`). This is faster on all providers, with other
            rounding errors than the graphs on disk.
        options: options of the provider, by their names in onnxruntime's documentation, or of the session
            configuration where the key begins with `session.`, `optimization.` or `ep.`. They override the other
            settings.

    Raises:
        RequestError: where the number of threads is below 1, or the provider does not have such an option.
    """

    provider: Provider
    threads: int | None = None
    tf32: bool = False
    fuse: bool = True
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise RequestError(f"{self.threads} threads run nothing", "give 1 or more")
        for key in self.options:
            if "." in key and not key.startswith(_CONFIG):
                raise RequestError(f"there is no option {key!r}", f"session options begin with {', '.join(_CONFIG)}")
            if "." not in key and self.provider == "cpu":  # onnxruntime would ignore it without an error
                raise RequestError(
                    f"the CPU provider has no option {key!r}", "it takes --threads and session.* options"
                )

    @classmethod
    def of(cls, requested: Provider | Settings | None) -> Settings:
        """The settings `requested`, or the defaults of that provider, or those of the best available one."""
        return requested if isinstance(requested, Settings) else cls(choose_provider(requested))

    def captures(self, *, bound: bool) -> bool:
        """Whether runs are captured as CUDA graphs: only with fixed addresses, and unless an option disables it."""
        return self.provider == "cuda" and bound and self.options.get("enable_cuda_graph", "1") == "1"

    def providers(self, *, bound: bool) -> list[tuple[str, dict[str, str]]]:
        """The value of the parameter `providers` of `InferenceSession`.

        Args:
            bound: whether all inputs and outputs are at fixed addresses, and the session is kept for many runs.
        """
        provider_options = {key: value for key, value in self.options.items() if "." not in key}
        return [
            (
                EXECUTION_PROVIDER[self.provider],
                (self._cuda(bound=bound) | provider_options) if self.provider == "cuda" else {},
            )
        ]

    def _cuda(self, *, bound: bool) -> dict[str, str]:
        """The options of onnxruntime's CUDA execution provider."""
        return {
            "use_tf32": str(int(self.tf32)),
            # an arena that doubles its size uses up to twice the memory that a static graph needs
            "arena_extend_strategy": "kSameAsRequested",
            # the search takes seconds in the first run, which is a loss for a session of one run
            "cudnn_conv_algo_search": "EXHAUSTIVE" if bound else "HEURISTIC",
            "enable_cuda_graph": str(int(self.captures(bound=bound))),
        }

    def session_options(self) -> Any:
        """Make the SessionOptions of onnxruntime."""
        options = onnxruntime().SessionOptions()
        # compute products of quantised weights in float32; by default onnxruntime rounds the other factor to 8 bits
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
        options.log_severity_level = 4  # errors are raised as exceptions, and warnings do not concern the user
        if self.threads is not None:
            options.intra_op_num_threads = self.threads
        for key, value in self.options.items():
            if "." in key:
                options.add_session_config_entry(key, value)
        return options

    def run_options(self, *, bound: bool) -> Any:
        """Make the RunOptions of onnxruntime: memory of a run is freed after it, except addresses in a CUDA graph."""
        options = onnxruntime().RunOptions()
        if self.provider == "cuda" and not bound:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", f"gpu:{self.device}")
        return options

    @property
    def device(self) -> int:
        """The number of the CUDA device; 0 on the CPU."""
        return int(self.options.get("device_id", "0"))


def parse_options(words: Sequence[str]) -> dict[str, str]:
    """Parse words of the form `key=value`; the last value of a key counts.

    Raises:
        RequestError: names the first word of another form.
    """
    options = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not (key and sign and value):
            raise RequestError(f"{word!r} is no option", "give KEY=VALUE, as device_id=1")
        options[key] = value
    return options
