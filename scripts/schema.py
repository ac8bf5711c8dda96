"""`python -m turbo_webnn.scripts.schema`: writes the manifest's JSON Schema and TypeScript types.

`models/bundle/manifest.py` defines the manifest. `docs/manifest.schema.json` describes it for other programs.
`json-schema-to-typescript` makes `runtime/web/manifest.d.ts` from the schema, for the browser.
"""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import msgspec

from turbo_webnn.models import chain, component, schedule, wiring
from turbo_webnn.models.bundle import Manifest, manifest
from turbo_webnn.models.component import Size
from turbo_webnn.models.json_file import json_bytes

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "docs" / "manifest.schema.json"
TYPES = ROOT / "runtime" / "web" / "manifest.d.ts"

CONVERTER = ROOT / "node_modules" / ".bin" / "json2ts"
BANNER = "// A bundle's manifest. Written by: python -m turbo_webnn.scripts.schema, from docs/manifest.schema.json."

_MODULES = (manifest, chain, component, schedule, wiring)
_WRITTEN_WHOLE = {name for module in _MODULES for name, value in vars(module).items() if is_dataclass(value)}
"""Types whose fields are all written, also those with a default."""


def manifest_schema() -> dict[str, Any]:
    """Make the JSON Schema of a written manifest."""
    definitions = msgspec.json.schema(Manifest)["$defs"]
    for name, definition in definitions.items():
        _complete(name, definition)
    for side in ("latent_height", "latent_width"):  # properties of Size, which the file states too
        size = definitions[Size.__name__]
        size["properties"][side] = {"type": "integer", "minimum": 1, "description": getattr(Size, side).__doc__}
        size["required"].append(side)
    root = definitions.pop(Manifest.__name__)
    version = {**root["properties"].pop("format"), "const": manifest.FORMAT}
    root["properties"] = {"format": version, **root["properties"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root, "$defs": definitions}


def manifest_types(schema: dict[str, Any]) -> str:
    """Make the TypeScript types of `schema`.

    Raises:
        OSError: where the npm package of the converter is not installed.
        subprocess.CalledProcessError: where the converter fails.
    """
    style = ("--style.singleQuote", "--style.printWidth=120", "--maxItems=-1", f"--bannerComment={BANNER}")
    completed = subprocess.run(
        [CONVERTER, *style], input=json.dumps(schema), capture_output=True, encoding="utf-8", timeout=60, check=True
    )
    return completed.stdout


def _complete(name: str, definition: dict[str, Any]) -> None:
    """Add the written keys and their meanings to the definition of the type `name`."""
    summary, meanings = _parse_docstring(definition.pop("description", ""))
    properties = definition["properties"]
    for key, value in properties.items():
        value.pop("default", None)
        # a reference with a description would become a separate type in TypeScript
        if key in meanings and "$ref" not in value:
            value["description"] = meanings[key]
    required = sorted(properties) if name in _WRITTEN_WHOLE else definition["required"]
    definition |= {"description": summary, "required": required, "additionalProperties": False}


def _parse_docstring(docstring: str) -> tuple[str, dict[str, str]]:
    """The text of `docstring` before its sections, and the meanings of its attributes; None becomes JSON's null."""
    text, _, sections = re.sub(r"\bNone\b", "null", inspect.cleandoc(docstring)).partition("\n\nAttributes:\n")
    meanings: dict[str, str] = {}
    name = ""
    for line in sections.partition("\n\n")[0].splitlines():
        if not line.startswith(" " * 8):
            name, _, line = line.strip().partition(": ")
            meanings[name] = ""
        meanings[name] = f"{meanings[name]} {line.strip()}".strip()
    return text.partition("\n\nRaises:\n")[0], meanings


def main() -> int:
    """Write both files."""
    schema = manifest_schema()
    SCHEMA.write_bytes(json_bytes(schema))
    TYPES.write_text(manifest_types(schema), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
