"""The load: an open loop of callers.

Every arrival is sent when it is due, whatever became of those before it; latency counts from the due time. Nothing
waits for a free slot: an arrival that cannot be started is an event of its own. The waiting is absolute, so lateness
never adds up: sleeping `1/rate` between sends was measured to reach 93 % of 100/s only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from drills.client import Callers
from drills.clock import Clock
from drills.events import ArrivalDone, ArrivalNotStarted, ArrivalSent
from drills.plan import Arrival

IN_FLIGHT_AT_MOST = 4000

Emit = Callable[[ArrivalSent | ArrivalDone | ArrivalNotStarted], None]


async def drive(
    callers: Callers,
    plan: Sequence[Arrival],
    start_s: float,
    deadline_s: float,
    emit: Emit,
    over: asyncio.Event | None = None,
) -> None:
    """Send every arrival when it is due (`start_s` plus its offset), and wait until each has ended.

    over: once it is set, nothing is sent any more; what is under way ends as it does.
    Cancelling ends every request that is under way; each still gets its `arrival_done`.
    """
    tasks: set[asyncio.Task[None]] = set()
    clock = callers.clock

    async def one(arrival: Arrival, due_s: float) -> None:
        emit(ArrivalSent(seq=arrival.seq, id=arrival.mark.id, stream=arrival.stream, due_s=due_s, sent_s=clock.now_s()))
        emit(await callers.call(arrival.seq, arrival.mark, arrival.stream, due_s, deadline_s))

    try:
        for arrival in plan:
            due_s = start_s + arrival.offset_s
            if await _over(clock, due_s, over):
                break
            if len(tasks) >= IN_FLIGHT_AT_MOST:
                why = f"{IN_FLIGHT_AT_MOST} requests are already under way"
                emit(ArrivalNotStarted(seq=arrival.seq, due_s=due_s, why=why))
                continue
            task = asyncio.create_task(one(arrival, due_s))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
    finally:
        left = list(tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _over(clock: Clock, due_s: float, over: asyncio.Event | None) -> bool:
    """Wait until an arrival is due; True when the load was over before that."""
    if over is None:
        await clock.sleep_until(due_s)
        return False
    try:
        async with asyncio.timeout(max(0.0, due_s - clock.now_s())):
            await over.wait()
    except TimeoutError:
        return False
    return True
