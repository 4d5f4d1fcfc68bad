"""What a quarterly report says about the seals of its runs. Data only; `drills.quarter.seals` reads them."""

from __future__ import annotations

import enum

import msgspec


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


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was known of the runs' evidence when the report was made.

    build: of the tool. head: the hash of the last line of the chain beside the runs, before the lines of this report;
    empty without a chain. lines: that line's number.
    """

    build: str = ""
    head: str = ""
    lines: int = 0
    seals: tuple[Seal, ...] = ()

    def seal(self, run: str) -> Seal | None:
        """The seal of a run; None when nobody looked."""
        return next((one for one in self.seals if one.run == run), None)
