"""The run's clock: monotonic seconds since the run's origin. The only place that asks what time it is.

CLOCK_MONOTONIC is one clock for all processes of a host, so every process stamps its own events.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime


class Clock:
    """Seconds since `origin_s`, which is a reading of CLOCK_MONOTONIC."""

    def __init__(self) -> None:
        self.origin_s = time.monotonic()
        self.started_at = datetime.now(UTC)

    def now_s(self) -> float:
        """Seconds on the run's clock."""
        return time.monotonic() - self.origin_s

    async def sleep_until(self, at_s: float) -> None:
        """Sleep to an absolute time, so that lateness never adds up. Returns at once when it has passed."""
        left = at_s - self.now_s()
        if left > 0:
            await asyncio.sleep(left)
