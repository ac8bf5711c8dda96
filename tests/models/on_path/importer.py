"""Says where the modules that it is asked for would come from, as JSON: what a process of ours could import."""

from __future__ import annotations

import importlib.util
import json
import sys

if __name__ == "__main__":
    found = {name: importlib.util.find_spec(name) for name in sys.argv[1:]}
    sys.stdout.write(json.dumps({name: spec and (spec.origin or "namespace") for name, spec in found.items()}) + "\n")
