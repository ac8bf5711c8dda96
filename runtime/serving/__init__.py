"""An HTTP server for a bundle and its page, for browsers on this machine."""

from turbo_webnn.runtime.serving.routes import MODULES, WEB, ServedFile, routes_of
from turbo_webnn.runtime.serving.server import PageServer

__all__ = ["MODULES", "WEB", "PageServer", "ServedFile", "routes_of"]
