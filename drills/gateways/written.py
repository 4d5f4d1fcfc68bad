"""What people write about a gateway or an application in a small YAML file: its legs, its variables.

Shared by all that is described in such a file, so that a leg is written the same way everywhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Self, TypeVar

from msgspec import Meta

from drills import providers
from drills.binding import Key, bind, near
from drills.legs import ROLES, Leg, role_name
from drills.problems import Place, Problem, UsageProblem, choices
from drills.yamlsource import ListNode, MappingNode, Node, ScalarNode, is_null, read_text, shown, tree

INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ")
"""What a process that is tested takes from the environment: nothing that leads out of this host, and nobody's key."""
OURS = "DRILL_"
PLACEHOLDER = re.compile(r"(?<!\$)\{([A-Za-z][A-Za-z0-9_.-]*)\}")
_PLAIN = re.compile(r"(?:leg\.)?[a-z]{1,15}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LEVEL = re.compile(r"level-([6-9]|[1-9]\d+)")
_VENDOR_OF_PROVIDER = {"azure": "openai"}

Slug = Annotated[
    str, Meta(pattern=r"\A[a-z0-9][a-z0-9-]*\Z", max_length=40, description="lower-case letters, digits and dashes")
]
UrlPath = Annotated[str, Meta(pattern=r"\A/\S*\Z", description="a path that begins with /")]


@dataclass(frozen=True)
class Variable:
    """One variable of the process's environment, with its placeholders. `place` is its value's."""

    name: str
    value: str
    place: Place


@dataclass(frozen=True)
class Environment:
    """The mapping `env`: names of variables with their values, which are the text as it is written."""

    variables: Annotated[tuple[Variable, ...], Key("NAME: value")] = ()

    @classmethod
    def from_node(cls, node: Node, problems: list[Problem]) -> Self | None:
        """The variables; None with the problems added."""
        if not isinstance(node, MappingNode):
            problems.append(Problem("env must be a mapping (`NAME: value`)", node.place))
            return None
        before, found = len(problems), []
        for key, value in node.entries:
            subject = f"variable {shown(key.text)} in env"
            if _VARIABLE.fullmatch(key.text) is None:
                problems.append(Problem(f"{subject} must be letters, digits and underscores", key.place))
            elif key.text.startswith(OURS):
                problems.append(Problem(f"{subject}: names with {OURS} are the drill's own", key.place))
            elif is_null(value):
                problems.append(Problem(f'{subject} has no value; write "" for an empty one', value.place))
            elif isinstance(value, ScalarNode):
                found.append(Variable(key.text, value.text, value.place))
            else:
                problems.append(Problem(f"{subject} must be text", value.place))
        return cls(tuple(found)) if len(problems) == before else None


NO_VARIABLES = Environment()


@dataclass(frozen=True, kw_only=True)
class WrittenLeg:
    """A leg of the gateway.

    name: how the process and reports call it. provider: the dialect that the gateway speaks on it. vendor: who made
    the model, by default the provider (openai for azure). role: its level, by default by its position.
    """

    noun: ClassVar[str] = "a leg"

    name: Slug
    provider: str
    model: str
    cloud: str
    region: str | None = None
    vendor: str | None = None
    role: str | None = None


T = TypeVar("T")


def read(path: Path, cls: type[T], check: Callable[[Node], Iterable[Problem]]) -> tuple[T, Node, str]:
    """A file as an instance of `cls`, with its tree and the digest of its bytes.

    check: what else may be wrong in the tree. Raises `UsageProblem` with every problem of the file.
    """
    text = read_text(path, str(path))
    problems: list[Problem] = []
    found = tree(text, str(path), problems)
    if found is None:
        raise UsageProblem(problems)
    root = as_text(found, problems)
    written = bind(root, cls, problems)
    problems += check(root)
    if problems or written is None:
        raise UsageProblem(sorted(dict.fromkeys(problems), key=lambda problem: problem.place or Place(str(path))))
    return written, root, hashlib.sha256(text.encode()).hexdigest()


def filled(text: str, values: Mapping[str, str]) -> str:
    """A text with its placeholders replaced."""
    return PLACEHOLDER.sub(lambda match: values[match[1]], text)


def leg_variable(name: str) -> str:
    """The variable in which a process finds the base URL of a leg."""
    return f"{OURS}LEG_{name.upper().replace('-', '_')}"


def leg_of(written: WrittenLeg, position: int) -> Leg:
    """The leg that was written; its role comes from its position unless it is written."""
    return Leg(
        name=written.name,
        role=written.role or role_name(position),
        provider=written.provider,
        vendor=written.vendor or _VENDOR_OF_PROVIDER.get(written.provider, written.provider),
        model=written.model,
        cloud=written.cloud,
        region=written.region,
    )


def sha256_of(path: Path) -> str:
    """The digest of a file's bytes. Raises `UsageProblem`."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageProblem(Problem(f"the file cannot be read: {error.strerror}", Place(str(path)))) from None


# --- what the file says, before it is bound: so that all problems are found at once ----------------------------------


def as_text(root: Node, problems: list[Problem]) -> Node:
    """The tree with every word of `command` and `env` as text: `8080` and `true` are words there like any other.

    A placeholder without quotes inside brackets or braces is a mapping to YAML; that is said once, and here.
    """

    def text(node: Node) -> Node:
        if isinstance(node, ScalarNode):
            return node if is_null(node) else replace(node, quoted=True)
        if isinstance(node, MappingNode) and len(node.entries) == 1 and is_null(node.entries[0][1]):
            word = f"{{{node.entries[0][0].text}}}"
            if PLACEHOLDER.fullmatch(word):
                problems.append(
                    Problem(f'{word} needs quotes: "{word}"; without them YAML reads a mapping', node.place)
                )
                return ScalarNode("-", quoted=True, place=node.place)
        return node

    def all_text(node: Node) -> Node:
        if isinstance(node, ListNode):
            return replace(node, items=tuple(text(item) for item in node.items))
        if isinstance(node, MappingNode):
            return replace(node, entries=tuple((key, text(value)) for key, value in node.entries))
        return node

    if not isinstance(root, MappingNode):
        return root

    entries = tuple(
        (key, all_text(_listed(key.text, value, problems)) if key.text in {"command", "env"} else value)
        for key, value in root.entries
    )
    return replace(root, entries=entries)


def _listed(key: str, node: Node, problems: list[Problem]) -> Node:
    """A command in one line as a list, after saying that it must be one. It is not said again: it may hold a key."""
    if key != "command" or not isinstance(node, ScalarNode) or is_null(node):
        return node
    problems.append(Problem("'command' must be a list (`- item`) of its words, not one text", node.place))
    return ListNode((ScalarNode("-", quoted=True, place=node.place),), place=node.place)


def under(node: Node, key: str) -> Node | None:
    """The value of a key of a mapping; None when there is none."""
    entries = node.entries if isinstance(node, MappingNode) else ()
    return next((value for name, value in entries if name.text == key), None)


def items_of(node: Node | None) -> tuple[Node, ...]:
    """The items of a list or the values of a mapping; of anything else, nothing."""
    if isinstance(node, ListNode):
        return node.items
    return tuple(value for _, value in node.entries) if isinstance(node, MappingNode) else ()


def texts(root: Node) -> Iterator[ScalarNode]:
    """Every text in which placeholders are replaced."""
    for node in (*items_of(under(root, "command")), *items_of(under(root, "env"))):
        if isinstance(node, ScalarNode):
            yield node


def placeholders(text: ScalarNode) -> list[str]:
    """The words in braces in a text, each once."""
    return list(dict.fromkeys(match[1] for match in PLACEHOLDER.finditer(text.text)))


def values_of(root: Node, key: str) -> Iterator[ScalarNode]:
    """What the legs of a file say under a key, where they say something."""
    for leg in items_of(under(root, "legs")):
        text = under(leg, key)
        if isinstance(text, ScalarNode) and not is_null(text):
            yield text


def placeholder_problems(root: Node, allowed: Iterable[str] = ("config", "port")) -> Iterator[Problem]:
    """Words in braces that stand for nothing: neither `allowed` nor a leg."""
    allowed = {*allowed, *(f"leg.{name.text}" for name in values_of(root, "name"))}
    for text in texts(root):
        for name in placeholders(text):
            if name not in allowed:
                # A word in braces may be a piece of a key; it is said again only if it is plainly a word.
                said = name if near(name, allowed) or _PLAIN.fullmatch(name) else "..."
                tail = choices(name[:60] if said == name else "", allowed)
                yield Problem(f"unknown placeholder {{{said}}}; {tail}", text.place)


def doubles(root: Node, key: str, what: str) -> Iterator[Problem]:
    """Legs that say the same under a key in which they must differ; `what` names the value."""
    first: dict[str, Place] = {}
    for value in values_of(root, key):
        if value.text in first:
            yield Problem(f"{what} {shown(value.text)} is written twice; first at {first[value.text]}", value.place)
        first.setdefault(value.text, value.place)


def leg_problems(root: Node) -> Iterator[Problem]:
    """Legs with one name, and unknown providers and roles."""
    yield from doubles(root, "name", "leg")
    for provider in values_of(root, "provider"):
        if provider.text not in providers.names():
            what = f"unknown provider {shown(provider.text)}; {choices(provider.text[:60], providers.names())}"
            yield Problem(what, provider.place)
    for role in values_of(root, "role"):
        if role.text not in ROLES and _LEVEL.fullmatch(role.text) is None:
            yield Problem(
                f"unknown role {shown(role.text)}; {choices(role.text[:60], ROLES)}, level-6, ...", role.place
            )
