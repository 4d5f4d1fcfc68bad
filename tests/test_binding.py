"""The binder and the YAML tree: typed values from text, and messages for any text whatsoever."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest

from drills.binding import Key, bind, fields_of, shape_of
from drills.problems import Place, Problem, UsageProblem
from drills.scenariofile import parse
from drills.shelf import load
from drills.units import Seconds
from drills.yamlsource import ListNode, MappingNode, Node, ScalarNode, boolean, is_null, number, tree
from faults.base import kinds

FULL = (
    re.sub(r" *#.*\n", "\n", load("cross-region-cascade").text).strip()
    + """
  attempts: {per_request_at_most: 3}
providers: {first_token: 80ms, tokens_per_s: 1e3}
"""
)
PIECE = re.compile(r"\s+|[\w.%/-]+|[^\w\s]")
ONE_FAULT = """\
name: Short
objective: As short as it can be.
load: {rate: 5/s}
timeline:
  - {phase: steady, for: 5s}
  - {phase: outage, for: 5s, faults: [%s: {%s: %s}]}
expect: {lost: {at_most: 0}}
"""


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A small class to bind."""

    noun = "a leaf"

    wait_s: Annotated[Seconds, Key("wait"), msgspec.Meta(ge=0.5)]
    on: bool = False
    place: Place

    def __post_init__(self) -> None:
        if self.on and self.wait_s > 5:
            raise ValueError("a leaf that is on waits at most 5s")


class Tree(msgspec.Struct, frozen=True, kw_only=True, rename={"leaves": "leafs"}):
    """A struct with a renamed key, a list and a ratio."""

    leaves: tuple[Leaf, ...] = ()
    ratio: Annotated[float | None, msgspec.Meta(gt=0, lt=1)] = None


def bound(text: str) -> tuple[Tree | None, list[str]]:
    """What the binder makes of a text."""
    problems: list[Problem] = []
    node = tree(text, "t", problems)
    assert node is not None
    return bind(node, Tree, problems), [str(problem) for problem in problems]


class TestBinder:
    """The binder knows nothing about scenarios."""

    def test_structs_and_dataclasses(self) -> None:
        """Renamed keys, nested lists, booleans, units and the place of a mapping."""
        value, problems = bound("leafs: [{wait: 500ms, on: true}, {wait: 1m}]\nratio: .5\n")
        leaves = (Leaf(wait_s=0.5, on=True, place=Place("t", 1, 9)), Leaf(wait_s=60, place=Place("t", 1, 34)))
        assert (value, problems) == (Tree(leaves=leaves, ratio=0.5), [])

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("leaves: []", "t:1:1: unknown key 'leaves' in Tree; did you mean 'leafs'? allowed: leafs, ratio"),
            ("leafs: [{wait: 1s, on: yes}]", "t:1:24: 'on' in a leaf: 'yes' is neither true nor false"),
            ("leafs: [{wait: 1s, on: 'true'}]", "t:1:24: 'on' in a leaf: 'true' is neither true nor false"),
            ("leafs: [{wait: 9s, on: true}]", "t:1:9: a leaf: a leaf that is on waits at most 5s"),
            ("leafs: [7]", "t:1:9: a leaf must be a mapping (`key: value`), not '7'"),
            ("leafs: [{wait: 400ms}]", "t:1:16: 'wait' in a leaf: must be at least 0.5s, not 0.4s"),
            ("ratio: 1e0", "t:1:8: 'ratio' in Tree: must be less than 1, not 1"),
            ("ratio: '0.5'", "t:1:8: 'ratio' in Tree: '0.5' is not a number"),
            ("ratio: 1e999", "t:1:8: 'ratio' in Tree: '1e999' is too large"),
            ("ratio: .inf", "t:1:8: 'ratio' in Tree: '.inf' is not a number"),
            ("ratio: null", "t:1:8: 'ratio' in Tree has no value; it takes a number"),
        ],
    )  # fmt: skip
    def test_problems(self, text: str, problem: str) -> None:
        """One wrong value is one message."""
        assert bound(text) == (None, [problem])

    @pytest.mark.parametrize("annotation", [int | str, dict[str, int], list[int], tuple[int, int], object, bytes])
    def test_unknown_annotations(self, annotation: Any) -> None:  # noqa: ANN401 - that is the point
        """An annotation that the binder cannot read is a mistake of the program, found at once."""
        with pytest.raises(TypeError, match="cannot read"):
            shape_of(annotation)


class TestScalars:
    """The scalars of YAML 1.2, read from their text."""

    @pytest.mark.parametrize(
        ("text", "value"),
        [("12", 12), ("-3", -3), ("010", 10), ("0o17", 15), ("0x1F", 31), ("1e3", 1000.0), (".5", 0.5), ("2.", 2.0)],
    )
    def test_numbers(self, text: str, value: float) -> None:
        """A leading zero is no octal number, and an exponent needs no point."""
        assert number(ScalarNode(text, quoted=False, place=Place("t"))) == value

    @pytest.mark.parametrize("text", ["", "on", "12:30", "1_000", "1e", "0b1", "x1", "--1", ".", "9" * 5000])
    def test_no_numbers(self, text: str) -> None:
        """What was a number in YAML 1.1 only, or is too long to be one, is text."""
        assert number(ScalarNode(text, quoted=False, place=Place("t"))) is None

    def test_quotes_make_text(self) -> None:
        """Quoted, nothing is a number, a boolean or null."""
        for text in ("12", "true", "null", ""):
            node = ScalarNode(text, quoted=True, place=Place("t"))
            assert (number(node), boolean(node), is_null(node)) == (None, None, False)

    def test_places(self) -> None:
        """Lines and columns count from 1."""
        assert tree("a:\n  - b\n", "t", []) == MappingNode(
            (
                (
                    ScalarNode("a", quoted=False, place=Place("t", 1, 1)),
                    ListNode((ScalarNode("b", quoted=False, place=Place("t", 2, 5)),), Place("t", 2, 3)),
                ),
            ),
            Place("t", 1, 1),
        )


PIECES = [
    *PIECE.findall(FULL),
    *(
        "\t",
        "&a ",
        "*a",
        "!!int ",
        "? ",
        "---\n",
        "|\n",
        "\\",
        '"',
        "'",
        "\0",
        "\ud800",
        "\u2028",
        "🙂",
        "~",
        "1e999",
        "9" * 5000,
    ),
]


VALUES: list[Any] = [
    "",
    "x",
    "primary",
    "5s",
    "0s",
    "99h",
    "10/s",
    "50%",
    "\u202e",
    0,
    -1,
    1.5,
    1e300,
    True,
    None,
    [],
    {},
]


def changed(node: Node | None, rng: random.Random, share: float) -> Any:  # noqa: ANN401 - any JSON
    """A tree as JSON data, with about this share of its values exchanged."""
    if rng.random() < share:
        return rng.choice([rng.choice(VALUES), rng.choices(VALUES, k=2), {rng.choice(PIECES): rng.choice(VALUES)}])
    if isinstance(node, MappingNode):
        return {key.text: changed(value, rng, share) for key, value in node.entries if rng.random() > share / 2}
    if isinstance(node, ListNode):
        return [changed(item, rng, share) for item in node.items]
    assert node is not None
    return node.text if number(node) is None else number(node)


class TestAnyText:
    """Whatever a file holds, the answer is a scenario or messages with a place; never a traceback."""

    def test_the_starting_point_is_right(self) -> None:
        """What the mutations start from has nothing wrong with it."""
        assert parse(FULL, "f").providers.tokens_per_s == 1000

    def check(self, text: str) -> None:
        """Parse, and look at the messages if there are any."""
        problems: tuple[Problem, ...] | None = None
        try:
            parse(text, "f")
        except UsageProblem as refused:
            problems = refused.problems
        assert problems != ()
        for problem in problems or ():
            assert problem.place is not None
            assert problem.place.line > 0
            assert "\n" not in str(problem)
            assert len(str(problem)) < 600

    @pytest.mark.parametrize("seed", range(4))
    def test_mutations(self, seed: int) -> None:
        """A full scenario with a few pieces replaced, removed, doubled or added."""
        rng = random.Random(seed)
        for _ in range(100):
            pieces = PIECE.findall(FULL)
            for _ in range(rng.randint(1, 4)):
                at = rng.randrange(len(pieces))
                pieces[at : at + rng.randint(0, 3)] = rng.choices(PIECES, k=rng.randint(0, 3))
            self.check("".join(pieces))

    @pytest.mark.parametrize("seed", range(4))
    def test_noise(self, seed: int) -> None:
        """Random pieces of YAML in any order."""
        rng = random.Random(seed)
        for _ in range(200):
            self.check("".join(rng.choices(PIECES, k=rng.randint(0, 40))))

    @pytest.mark.parametrize("seed", range(4))
    def test_right_syntax_wrong_values(self, seed: int) -> None:
        """A full scenario in which a few values, at any depth, are exchanged for others."""
        rng = random.Random(seed)
        root = tree(FULL, "f", [])
        for _ in range(150):
            self.check(json.dumps(changed(root, rng, rng.choice([0.01, 0.03, 0.1])), ensure_ascii=False))

    @pytest.mark.parametrize(
        "text",
        [
            "[" * 100_000,
            "{a: " * 50_000,
            "- " * 50_000,
            "a: " + "x" * 900_000,
            "? " * 10_000,
            "- x\n" * 50_000,
            "&a [*a]",
        ],
    )
    def test_large_ones(self, text: str) -> None:
        """Depth, length and number of values are limited."""
        self.check(text)

    @pytest.mark.parametrize("kind", kinds())
    def test_a_fault_with_any_values(self, kind: str) -> None:
        """Each setting of each fault with values of every type."""
        keys: list[str] = [field.key for field in fields_of(kinds()[kind])] + ["role"]
        for key in keys:
            for value in ("x", "1", "-1", "1s", "[]", "{}", "", "true", "1e999", "'1'", "[1, [2]]"):
                self.check(ONE_FAULT % (kind, key, value))
