"""What a quarterly report says about the seals of its runs. Data only; `drills.quarter.seals` reads them."""

from __future__ import annotations

import enum

import msgspec

from drills.chain import CHANGED


class SealState(enum.StrEnum):
    """How a run stood to its seal when the report was made: hashes compared, nothing judged again."""

    SEALED = "sealed"
    """Every file had the hash of its seal, and the chain had the seal."""
    CHANGED = "changed since"
    """It was sealed, and something of it was not what was sealed."""
    UNSEALED = "not sealed"


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """The seal of one run. manifest_sha256: of its manifest, empty when there was none."""

    run: str
    state: SealState
    manifest_sha256: str


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is there no more, as the chain remembers it: `drill history prune` removed it, or somebody else.

    at: when it was removed, or of a `MISSING` one when it was sealed. verdict: that it had then, or `CHANGED`, or
    `MISSING`. was_sealed: whether it had a seal, without which nobody can say whether the verdict was that of its
    drill. started_at: empty when nothing says so. scenario, gateway, config_sha256, entry_model: empty in chains of
    earlier versions, which did not write them down, and of runs whose own word is not believed.
    """

    run: str
    at: str
    verdict: str
    was_sealed: bool
    started_at: str = ""
    scenario: str = ""
    gateway: str = ""
    config_sha256: str = ""
    entry_model: str = ""

    @property
    def failed(self) -> bool:
        """Whether it failed."""
        return self.verdict == FAILED

    @property
    def unknown(self) -> bool:
        """Whether it was changed before it was removed, or is missing, so that nobody can say what it came to."""
        return self.verdict in {CHANGED, MISSING}


FAILED = "fail"
MISSING = "missing"
"""Where a verdict stands: the run was sealed, and it was not the tool that removed it."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was known of the runs' evidence when the report was made.

    build: of the tool. head: the hash of the last line of the chain beside the runs, before the lines of this report;
    empty without a chain. lines: that line's number. pruned: what the chain up to there says was removed of these four
    quarters.
    """

    build: str = ""
    head: str = ""
    lines: int = 0
    seals: tuple[Seal, ...] = ()
    pruned: tuple[Pruned, ...] = ()

    def seal(self, run: str) -> Seal | None:
        """The seal of a run; None when nobody looked."""
        return next((one for one in self.seals if one.run == run), None)
