"""A LiteLLM config file as values that know where they were written, with its `include` files merged in.

Scalars mean what they mean to LiteLLM, which reads its config with PyYAML's safe loader (YAML 1.1).
Source of the include rules: LiteLLM 1.106.2, `proxy/common_utils/config_includes.py`: lists are extended, every
other value of an included file replaces the earlier one, a file is read once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from drills.gateways.items import Item
from drills.problems import Place, Problem, UsageProblem


@dataclass(frozen=True)
class Document:
    """A whole config with its includes merged. `doubled`: keys that one mapping gives twice (the last one counts)."""

    root: Item
    source: bytes
    doubled: tuple[Problem, ...]


def load(path: Path) -> Document:
    """Read a config and everything it includes. Raises `UsageProblem` with the place of what cannot be read."""
    source = _read(path, None)
    doubled: list[Problem] = []
    root = _parse(source, str(path), doubled)
    pending = _includes(root, path)
    root = _without_include(root)
    seen = {path.resolve()}
    while pending:
        name, declared_in, place = pending.pop(0)
        target = declared_in.parent / name
        if not target.exists() and (path.parent / name).exists():
            target = path.parent / name
        if target.resolve() in seen:
            continue
        seen.add(target.resolve())
        included = _parse(_read(target, place), str(target), doubled)
        pending += _includes(included, target)
        root = _merged(root, _without_include(included))
    return Document(root, source, tuple(doubled))


def _read(path: Path, place: Place | None) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageProblem(Problem(f"cannot read {path}: {error.strerror}", place)) from error


def _parse(source: bytes, name: str, doubled: list[Problem]) -> Item:
    try:
        loader = yaml.SafeLoader(source)
        try:
            node = loader.get_single_node()
            root = None if node is None else _located(loader, node, name, doubled, ())
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(name) if mark is None else Place(name, mark.line + 1, mark.column + 1)
        raise UsageProblem(Problem(f"not valid YAML: {error.problem or error.context}", place)) from error
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise UsageProblem(Problem(f"not valid YAML: {said}", Place(name))) from error
    except RecursionError:
        raise UsageProblem(Problem("the values are nested too deep", Place(name))) from None
    if root is None or root.empty:
        raise UsageProblem(Problem("the config is empty; a LiteLLM config needs a model_list", Place(name)))
    if root.fields is None:
        raise UsageProblem(Problem("a LiteLLM config is a mapping with a model_list", root.place))
    return root


def _located(
    loader: yaml.SafeLoader, node: yaml.Node, name: str, doubled: list[Problem], above: tuple[yaml.Node, ...]
) -> Item:
    place = Place(name, node.start_mark.line + 1, node.start_mark.column + 1)
    if any(node is other for other in above):
        raise UsageProblem(Problem("an anchor that contains itself", place))
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        fields: dict[object, Item] = {}
        written: set[object] = set()
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            key_place = Place(name, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if isinstance(key, dict | list):
                raise UsageProblem(Problem("a key must be a single value", key_place))
            own = node.start_mark.index <= key_node.start_mark.index < node.end_mark.index  # not merged with `<<`
            if own and key in written:
                doubled.append(Problem(f"{key!r} is given twice; LiteLLM reads only the last one", key_place))
            written |= {key} if own else set()
            item = _located(loader, value_node, name, doubled, (*above, node))
            fields[key] = Item(item.place, item.scalar, item.fields, item.items, key_place)
        return Item(place, fields=fields)
    if isinstance(node, yaml.SequenceNode):
        return Item(place, items=tuple(_located(loader, item, name, doubled, (*above, node)) for item in node.value))
    return Item(place, scalar=loader.construct_object(node, deep=True))


def _includes(root: Item, path: Path) -> list[tuple[str, Path, Place]]:
    entries = (root.fields or {}).get("include")
    if entries is None:
        return []
    if entries.items is None or any(not isinstance(entry.scalar, str) for entry in entries.items):
        raise UsageProblem(Problem("include must be a list of file paths", entries.place))
    return [(entry.text, path, entry.place) for entry in entries.items]


def _without_include(root: Item) -> Item:
    fields = {key: item for key, item in (root.fields or {}).items() if key != "include"}
    return Item(root.place, fields=fields)


def _merged(base: Item, included: Item) -> Item:
    fields = dict(base.fields or {})
    for key, item in (included.fields or {}).items():
        before = fields.get(key)
        if before is not None and before.items is not None and item.items is not None:
            fields[key] = Item(before.place, items=(*before.items, *item.items), key_place=before.key_place)
        else:
            fields[key] = item
    return Item(base.place, fields=fields)
