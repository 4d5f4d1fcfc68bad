"""The result of a gate: the contract of `drill gate --json`. Data only. Null is "never", or "not measured".

Fields are added, never renamed or removed, within one `schema`.
"""

from __future__ import annotations

import msgspec

from drills.gate.trials import Outcome, Why
from drills.result import readable

GATE_SCHEMA = "failover-drill/gate/1"


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every part of a result."""


class PlacePart(_Part, frozen=True, kw_only=True):
    """A line of a file that a person wrote; line 0 is the whole file."""

    file: str
    line: int


class SidePart(_Part, frozen=True, kw_only=True):
    """One side. config_sha256: empty for stored results. stored: whether its runs were made before."""

    config: str
    config_sha256: str
    gateway: str
    version: str
    stored: bool = False


class ChangePart(_Part, frozen=True, kw_only=True):
    """A difference between the configs. said: one sentence, cause and measured effect. place: in the head's config.

    effects: names of the scenarios in which an effect was measured.
    """

    aspect: str
    what: str
    said: str
    place: PlacePart | None
    effects: tuple[str, ...] = ()


class TimesPart(_Part, frozen=True, kw_only=True):
    """Recovery times, head against base. Seconds; null is never. counted: whether they took part in the judgement.

    ratio, low, high: how many times as long the head takes, with its interval of 95 %; null when infinite or unknown.
    p: exact, in both directions.
    """

    base_median_s: float | None
    head_median_s: float | None
    ratio: float | None
    low: float | None
    high: float | None
    p: float
    n_base: int
    n_head: int
    counted: bool


class FindingPart(_Part, frozen=True, kw_only=True):
    """One scenario. said: one sentence. base, head: how its runs ended. runs_*: their folders, in order.

    rto_s: what the scenario expects of a switchover. place: of the first fault in the scenario's file.
    """

    scenario: str
    name: str
    outcome: Outcome
    why: Why
    said: str
    base: str
    head: str
    times: TimesPart | None
    rto_s: float | None
    place: PlacePart | None
    runs_base: tuple[str, ...]
    runs_head: tuple[str, ...]


class GateResult(_Part, frozen=True, kw_only=True):
    """The whole result. outcome: null when the head cannot be drilled; `problems` then says why.

    said: one sentence, without the outcome.
    """

    schema: str
    tool_version: str
    outcome: Outcome | None
    exit_code: int
    said: str
    base: SidePart | None
    head: SidePart
    changes: tuple[ChangePart, ...]
    findings: tuple[FindingPart, ...]
    problems: tuple[str, ...]
    problem_places: tuple[PlacePart | None, ...]
    notes: tuple[str, ...]
    seed: int
    budget_s: float
    took_s: float
    results: str


def encode(result: GateResult) -> bytes:
    """The JSON, with a line end. In a log of GitHub no text in it is a command (see `reports.escape`): only texts have
    a `#`, and JSON may write it as a number.
    """
    return readable(result).replace(b"##[", b"#\\u0023[")
