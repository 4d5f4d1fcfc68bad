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
    """A run that `drill history prune` removed, as the chain remembers it.

    at: when it was removed. verdict: that it had then, or `CHANGED`. was_sealed: whether it had a seal, without which
    nobody can say whether the verdict was that of its drill. started_at: empty when nothing says so. scenario, gateway,
    config_sha256: empty in chains of earlier versions, which did not write them down.
    """

    run: str
    at: str
    verdict: str
    was_sealed: bool
    started_at: str = ""
    scenario: str = ""
    gateway: str = ""
    config_sha256: str = ""

    @property
    def failed(self) -> bool:
        """Whether it failed."""
        return self.verdict == FAILED

    @property
    def unknown(self) -> bool:
        """Whether it was changed before it was removed, so that nobody can say what it came to."""
        return self.verdict == CHANGED


FAILED = "fail"


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
