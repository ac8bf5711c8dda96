"""Access control: the permitted hosts of a request, and the security headers of every answer."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",  # WASM threads need an isolated page
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Headers of every answer, in addition to the Content-Security-Policy."""

CONTENT_POLICY = "Content-Security-Policy"

NO_CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""The content policy of an answer without a file."""

_INLINE_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:\[\]/@]+)(?::[0-9]{0,5})?", re.IGNORECASE)


def content_policy(pages: Iterable[str], *, evaluate: bool = False) -> str:
    """Make the Content-Security-Policy: only files of this server, and the inline scripts of `pages`.

    Args:
        pages: the texts of all served HTML files.
        evaluate: whether to permit `eval`, which onnxruntime's JavaScript needs in its worker.
    """
    scripts = sorted({_hash(script) for page in pages for script in _INLINE_SCRIPT.findall(page)})
    policy = {
        "default-src": "'none'",
        "script-src": " ".join(["'self'", "'wasm-unsafe-eval'", *(["'unsafe-eval'"] if evaluate else []), *scripts]),
        "worker-src": "'self'",
        "connect-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in policy.items())


def _hash(script: str) -> str:
    text = script.replace("\r\n", "\n")  # the browser's parser does the same before it hashes
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@dataclass(frozen=True)
class Hosts:
    """The hosts that a request may name.

    The check prevents DNS rebinding, where a foreign host name resolves to this machine.
    Loopback addresses and `localhost` are always permitted.

    Attributes:
        names: further permitted names and addresses, in lower case.
        any_address: whether every IP address is permitted. No foreign page can have such an origin.
    """

    names: frozenset[str]
    any_address: bool

    @classmethod
    def of(cls, host: str, address: str) -> Hosts:
        """The permitted hosts of a server for `host` that listens on `address`."""
        return cls(frozenset({host.lower(), address.lower()}), ipaddress.ip_address(address).is_unspecified)

    def allow(self, header: str | None) -> bool:
        """Whether a request with this Host header is permitted."""
        parsed = _HOST.fullmatch(header or "")
        if parsed is None:
            return False
        name = parsed[1].strip("[]").lower()
        if name == "localhost" or name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self.any_address
