"""Times as runs write them: what a history says may be any text. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(text: str) -> datetime | None:
    """A time as runs write it, in UTC; None when it is none. One without a zone is taken as UTC.

    A time that has no name in UTC is none: the first day of the year 1, east of Greenwich.
    """
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
