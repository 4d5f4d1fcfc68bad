"""The JSON schema for editors agrees with what the reader of scenarios accepts."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from drills.schema import descriptions, scenario_schema, summary
from drills.shelf import load, shipped
from drills.units import EXAMPLES, PARSERS
from drills.yamlsource import ListNode, MappingNode, Node, number, tree
from faults.base import kinds


def complaints(node: Node, schema: dict[str, Any], path: str = "") -> list[str]:
    """What a schema has against a tree: the part of JSON Schema that the schema uses."""
    if isinstance(node, MappingNode):
        written = {key.text for key, _ in node.entries}
        found = [f"{path}: {key} is missing" for key in schema.get("required", []) if key not in written]
        if any("required" in choice for choice in schema.get("anyOf", [])):
            found += [] if any(set(choice["required"]) <= written for choice in schema["anyOf"]) else [f"{path}: anyOf"]
        for key, value in node.entries:
            below = schema.get("properties", {}).get(key.text)
            found += [f"{path}: {key.text}"] if below is None else complaints(value, below, f"{path}/{key.text}")
        return found
    if isinstance(node, ListNode):
        return [line for item in node.items for line in complaints(item, schema["items"], f"{path}/-")]
    if schema.get("type") in {"integer", "number"}:
        return [] if number(node) is not None else [f"{path}: {node.text}"]
    return [] if re.search(schema.get("pattern", ""), node.text) else [f"{path}: {node.text}"]


def of(text: str) -> Node:
    """The tree of a text."""
    node = tree(text, "t", [])
    assert node is not None
    return node


@pytest.mark.parametrize("name", shipped())
def test_shipped_scenarios_fit(name: str) -> None:
    """An editor marks nothing in the scenarios that come with the tool."""
    assert complaints(of(load(name).text), scenario_schema()) == []


def test_typos_do_not_fit() -> None:
    """An editor marks an unknown key, a missing one, a bare number and a fault without legs."""
    text = (
        load("primary-down")
        .text.replace("objective", "objectiv")
        .replace("30s", "30")
        .replace("role: primary, ", "")
        .replace("lost", "losst")
    )
    assert complaints(of(text), scenario_schema()) == [
        ": objective is missing",
        ": objectiv",
        "/load/deadline: 30",
        "/timeline/-/faults/-/status: anyOf",
        "/expect: losst",
    ]


def test_it_is_json() -> None:
    """The schema can be written to a file, and says what it is."""
    schema = json.loads(json.dumps(scenario_schema()))
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert schema["required"] == ["name", "objective", "load", "timeline", "expect"]


def test_every_key_is_described() -> None:
    """Each key of a scenario has a sentence of its own, not only its type."""

    def described(schema: dict[str, Any], path: str) -> None:
        for key, below in schema.get("properties", {}).items():
            assert not below["description"].startswith("Takes"), f"{path}/{key}"
            described(below, f"{path}/{key}")
        if "items" in schema:
            described(schema["items"], f"{path}/-")

    schema = scenario_schema()
    schema["properties"]["timeline"]["items"]["properties"]["faults"]["items"]["properties"] = {}
    described(schema, "")


def test_every_fault_is_there() -> None:
    """Each kind of the catalogue with its settings, the selector's keys, and its own first sentence."""
    entry = scenario_schema()["properties"]["timeline"]["items"]["properties"]["faults"]["items"]
    assert list(entry["properties"]) == list(kinds())
    assert entry["properties"]["slow"]["required"] == ["by"]
    assert entry["properties"]["status"]["properties"]["code"]["maximum"] == 599
    assert entry["properties"]["slow"]["description"] == summary(kinds()["slow"])


@pytest.mark.parametrize("unit", PARSERS)
def test_examples_fit_their_pattern(unit: str) -> None:
    """The patterns of quantities accept what messages recommend."""
    keys = scenario_schema()["properties"]
    load, faults = keys["load"]["properties"], keys["timeline"]["items"]["properties"]["faults"]["items"]["properties"]
    key = {
        "duration": load["deadline"],
        "rate": load["rate"],
        "share": load["streaming"],
        "bandwidth": faults["bandwidth"]["properties"]["rate"],
    }[unit]
    assert all(re.search(key["pattern"], example) for example in EXAMPLES[unit].split(", "))
    assert re.search(key["pattern"], "30") is None


def test_descriptions_span_lines() -> None:
    """A description in a docstring may go on over several lines and ends with its paragraph."""
    assert descriptions(kinds()["cut"])["how"].endswith("then ends as `clean`.")
