"""The reference pages that are generated are those of the command and of the manifest."""

from __future__ import annotations

import json

import click
import pytest

from turbo_webnn.scripts.app import app
from turbo_webnn.scripts.command_reference import COMMANDS, command_reference
from turbo_webnn.scripts.manifest_reference import REFERENCE, SCHEMA, manifest_reference


def test_the_command_reference_is_that_of_the_commands() -> None:
    written = COMMANDS.read_text(encoding="utf-8")
    assert written == command_reference(), "run python -m turbo_webnn.scripts.command_reference"


def test_the_manifest_reference_is_that_of_the_schema() -> None:
    written = REFERENCE.read_text(encoding="utf-8")
    made = manifest_reference(json.loads(SCHEMA.read_bytes()))
    assert written == made, "run python -m turbo_webnn.scripts.manifest_reference"


def test_every_command_has_its_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")  # a terminal's width changes nothing
    sections = command_reference().split("\n## ")[1:]
    assert [section.partition("\n")[0] for section in sections] == list(app.commands)


def test_an_option_is_written_with_its_default_and_without_what_is_hidden() -> None:
    @click.group()
    def group() -> None: ...

    @group.command()
    @click.argument("place")
    @click.option("--count", type=int, default=3, show_default=True, help="How many [of them].")
    @click.option("--seed", default=0, show_default=True)
    @click.option("--secret", hidden=True)
    def draw() -> None:
        """Draw a picture."""

    @group.command(hidden=True)
    def internal() -> None: ...

    section = command_reference(group).partition("\n## ")[2]
    assert section.splitlines() == [
        "draw",
        "",
        "    turbo-webnn draw [OPTIONS] PLACE",
        "",
        "Draw a picture.",
        "",
        "- `--count INTEGER`: How many [of them]. (default: 3)",
        "- `--seed INTEGER`: (default: 0)",
    ]


def test_types_of_a_schema_are_told_in_words() -> None:
    value = {"type": "array", "items": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Part"}]}, "minItems": 1}
    schema = {
        "title": "Whole",
        "description": "A whole.",
        "properties": {"parts": value, "count": {"type": "integer", "minimum": 1, "description": "how many."}},
        "required": ["parts"],
        "$defs": {"Part": {"description": "A part.", "properties": {"form": {"const": 2}}, "required": ["form"]}},
    }
    text = manifest_reference(schema)
    assert "- `parts`: list of null or [Part](#part) (at least 1).\n" in text
    assert "- `count`: integer (at least 1), optional. How many.\n" in text
    assert "## Part\n\nA part.\n\n- `form`: always `2`.\n" in text
