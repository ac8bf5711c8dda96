"""How onnxruntime runs a graph: provider, threads, precision of products, and whatever else its own options say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.ort.provider import EXECUTION_PROVIDER, Provider, choose_provider, onnxruntime

_CONFIG = ("session.", "optimization.", "ep.")
"""How keys of session configuration begin; provider options hold no dot."""


@dataclass(frozen=True)
class Settings:
    """Choices that hold for all graphs of a run.

    Attributes:
        provider: where to run.
        threads: of the CPU provider; None for one a core.
        tf32: whether CUDA rounds float32 factors to 10 bits of mantissa: faster, and no parity with PyTorch's
            float32. It says nothing about float16.
        fuse: whether attention is fused as graphs load (`fusing.py`): faster everywhere, with other roundings than
            the graphs on disk have.
        options: of the provider, as onnxruntime's documentation names them, or of its session configuration where
            the key begins with `session.`, `optimization.` or `ep.`; they win over the choices made here.

    Raises:
        RequestError: where there are no threads, or the provider has no such kind of option.
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
            if "." not in key and self.provider == "cpu":  # onnxruntime would pass it by without a word
                raise RequestError(
                    f"the CPU provider has no option {key!r}", "it takes --threads and session.* options"
                )

    @classmethod
    def of(cls, wanted: Provider | Settings | None) -> Settings:
        """`wanted` where it is whole, else the defaults of that provider, or of the best there is."""
        return wanted if isinstance(wanted, Settings) else cls(choose_provider(wanted))

    def captures(self, *, bound: bool) -> bool:
        """Whether runs are captured as CUDA graphs: those whose addresses never change, unless an option forbids."""
        return self.provider == "cuda" and bound and self.options.get("enable_cuda_graph", "1") == "1"

    def providers(self, *, bound: bool) -> list[tuple[str, dict[str, str]]]:
        """What `InferenceSession` takes as its providers.

        Args:
            bound: whether all inputs and outputs lie at fixed addresses, and the session stays for many runs.
        """
        given = {key: value for key, value in self.options.items() if "." not in key}
        return [
            (EXECUTION_PROVIDER[self.provider], (self._cuda(bound=bound) | given) if self.provider == "cuda" else {})
        ]

    def _cuda(self, *, bound: bool) -> dict[str, str]:
        """The choices for CUDA; the names are those of onnxruntime's CUDA execution provider."""
        return {
            "use_tf32": str(int(self.tf32)),
            # an arena that doubles holds up to twice what a static graph ever asks for
            "arena_extend_strategy": "kSameAsRequested",
            # the search costs seconds on a first run, and a session that leaves after it has nothing of it
            "cudnn_conv_algo_search": "EXHAUSTIVE" if bound else "HEURISTIC",
            "enable_cuda_graph": str(int(self.captures(bound=bound))),
        }

    def session_options(self) -> Any:
        """Make the SessionOptions of onnxruntime."""
        options = onnxruntime().SessionOptions()
        # products by quantised weights in float32: by default onnxruntime rounds the other factor to 8 bits too
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
        options.log_severity_level = 4  # errors come back as exceptions, and warnings are no user's business
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
    """Words as `key=value`, the last of a key winning.

    Raises:
        RequestError: names the first word that is none.
    """
    options = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not (key and sign and value):
            raise RequestError(f"{word!r} is no option", "give KEY=VALUE, as device_id=1")
        options[key] = value
    return options
