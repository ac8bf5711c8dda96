"""A bundle and its page over HTTP, for browsers on this machine."""

from turbo_webnn.runtime.serving.routes import MODULES, WEB, ServedFile, routes_of
from turbo_webnn.runtime.serving.server import PageServer

__all__ = ["MODULES", "WEB", "PageServer", "ServedFile", "routes_of"]
