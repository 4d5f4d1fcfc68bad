"""What a person sees while a drill runs: a live panel on a terminal, plain lines anywhere else.

It follows the history's events and never touches the run.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, TextIO

from drills.events import (
    AnyEvent,
    ArrivalDone,
    ArrivalSent,
    AttemptReceived,
    FaultCleared,
    FaultEffective,
    FaultSwitched,
    PhaseStarted,
    PlaneTrouble,
    ProgramEnded,
    RunStarted,
    TimelineStarted,
)
from drills.inferred import is_call
from drills.outcomes import Outcome, outcome_of
from drills.until import Answers

if TYPE_CHECKING:
    from rich.text import Text

_LOOK_BACK_S = 2.0
_PLAIN_EVERY_S = 5.0
_BAR = 40


class Tally:
    """What has happened so far, in the numbers that the screen shows."""

    def __init__(self) -> None:
        self.head: RunStarted | None = None
        self.timeline_s: float | None = None
        self.phase = ""
        self.now_s = 0.0
        self.sent = 0
        self.outcomes: Counter[Outcome] = Counter()
        self.faults: list[str] = []
        self._answers = Answers(inferred=False)
        self._recent: deque[ArrivalDone] = deque()
        self._recent_sent: deque[float] = deque()

    def take(self, event: AnyEvent) -> str:
        """Count an event; the line that is worth saying about it, if any."""
        self._count(event)
        line = ""
        match event:
            case RunStarted():
                self.head = event
                self._answers = Answers(inferred=event.inferred)
            case TimelineStarted():
                self.timeline_s = event.at_s
            case PhaseStarted():
                self.phase = event.phase
                line = f"phase {event.phase}"
            case ProgramEnded() if not event.asked:
                line = f"the application ended by itself with exit code {event.code}"
            case FaultEffective():
                self.faults.append(event.fault)
                line = f"fault {event.fault} is on ({', '.join(event.legs) or 'the gateway'})"
            case FaultCleared():
                self.faults = [fault for fault in self.faults if fault != event.fault]
                line = f"fault {event.fault} is cleared"
            case FaultSwitched():
                self.faults = [fault for fault in self.faults if fault != event.fault]
                self.faults += [event.fault] if event.on else []
                line = f"fault {event.fault} is {'on again' if event.on else 'off for now'}"
            case PlaneTrouble():
                line = f"trouble: {event.what}"
            case _:
                pass
        return line

    def _count(self, event: AnyEvent) -> None:
        """Count requests and answers; of an application that makes its own calls, these."""
        if isinstance(event, ArrivalSent):
            self._sent(event.sent_s)
        elif isinstance(event, AttemptReceived) and self.head is not None and self.head.inferred and is_call(event):
            self._sent(event.received_s)
        if (done := self._answers.of(event)) is not None:
            self.outcomes[outcome_of(done)] += 1
            self.now_s = max(self.now_s, done.done_s)
            self._recent.append(done)

    def _sent(self, at_s: float) -> None:
        self.sent += 1
        self.now_s = at_s
        self._recent_sent.append(at_s)

    @property
    def offset_s(self) -> float:
        """Seconds since the start of the timeline."""
        return 0.0 if self.timeline_s is None else max(0.0, self.now_s - self.timeline_s)

    @property
    def length_s(self) -> float:
        """Length of the timeline."""
        return self.head.phases[-1].end_s if self.head is not None and self.head.phases else 0.0

    def recently(self) -> tuple[float, float | None, Counter[str]]:
        """Of the last two seconds: requests per second, share answered well, and who answered how many."""
        since_s = self.now_s - _LOOK_BACK_S
        while self._recent and self._recent[0].done_s < since_s:
            self._recent.popleft()
        while self._recent_sent and self._recent_sent[0] < since_s:
            self._recent_sent.popleft()
        recent = list(self._recent)  # a copy: the live panel is drawn by a thread of its own
        good = [done for done in recent if outcome_of(done) is Outcome.OK]
        share = len(good) / len(recent) if recent else None
        return len(self._recent_sent) / _LOOK_BACK_S, share, Counter(done.legs[0] for done in good)

    @property
    def under_way(self) -> int:
        """Requests that were sent and have not ended."""
        return self.sent - sum(self.outcomes.values())

    def sentence(self) -> str:
        """One line about now."""
        rate, share, by = self.recently()
        who = ", ".join(f"{leg} {count / _LOOK_BACK_S:.0f}/s" for leg, count in by.most_common()) or "nobody"
        well = "no answer yet" if share is None else f"{share:.0%} ok"
        return (
            f"{self.offset_s:5.1f}s of {self.length_s:.0f}s  {self.phase:<14} {rate:4.1f}/s  {well}, "
            f"answered by {who}, {self.under_way} under way"
        )


class PlainScreen:
    """Lines for logs and pipes: phases, faults, and the state of things every five seconds."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._tally = Tally()
        self._said_s = 0.0

    def __enter__(self) -> PlainScreen:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def say(self, line: str) -> None:
        """A line of progress."""
        print(line, file=self._out, flush=True)

    def take(self, event: AnyEvent) -> None:
        """An event of the run."""
        if line := self._tally.take(event):
            self.say(line)
        if self._tally.timeline_s is not None and time.monotonic() - self._said_s >= _PLAIN_EVERY_S:
            self._said_s = time.monotonic()
            self.say(self._tally.sentence())


class LiveScreen:
    """A live panel on a terminal."""

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415  rich is imported only where it is shown
        from rich.live import Live  # noqa: PLC0415

        self._tally = Tally()
        self._line = ""
        console = Console(file=out)
        self._live = Live(console=console, refresh_per_second=5, transient=True, get_renderable=self._panel)

    def __enter__(self) -> LiveScreen:
        self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """A line of progress, above the panel."""
        self._line = line
        self._live.console.print(line, markup=False, highlight=False)

    def take(self, event: AnyEvent) -> None:
        """An event of the run."""
        if line := self._tally.take(event):
            style = "red" if isinstance(event, FaultEffective | PlaneTrouble) else "green"
            at = f"{self._tally.offset_s:5.1f}s  " if self._tally.timeline_s is not None else ""
            self._live.console.print(f"{at}{line}", style=style, markup=False, highlight=False)

    def _panel(self) -> Text:
        from rich.text import Text  # noqa: PLC0415

        tally = self._tally
        if tally.timeline_s is None:
            return Text(f"{_spinner()} {self._line}", style="dim")
        rate, share, by = tally.recently()
        done = int(_BAR * min(1.0, tally.offset_s / tally.length_s)) if tally.length_s else 0
        text = Text()
        text.append(f"{'━' * done}", style="cyan")
        text.append(f"{'─' * (_BAR - done)} ", style="dim")
        text.append(f"{min(tally.offset_s, tally.length_s):.0f}/{tally.length_s:.0f} s  ", style="bold")
        text.append(tally.phase, style="bold red" if tally.faults else "bold green")
        if tally.faults:
            text.append(f"  faults: {', '.join(tally.faults)}", style="red")
        text.append(f"\n{rate:.1f} requests/s  ")
        if share is None:
            text.append("no answer yet", style="yellow")
        else:
            text.append(f"{share:.0%} ok", style="green" if share == 1 else "red")
        text.append(f"  {tally.under_way} under way\n")
        for leg, count in by.most_common():
            text.append(f"  {leg}  {'▪' * count}\n", style="cyan")
        lost = sum(tally.outcomes[outcome] for outcome in (Outcome.FAILED, Outcome.UNKNOWN, Outcome.CORRUPT))
        text.append(f"so far {tally.outcomes[Outcome.OK]} ok, {lost} lost", style="red" if lost else "dim")
        return text


def _spinner() -> str:
    return "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[int(time.monotonic() * 5) % 10]


Screen = PlainScreen | LiveScreen


def make(out: TextIO | None = None) -> Screen:
    """The screen that fits where the output goes."""
    out = out if out is not None else sys.stdout
    return LiveScreen(out) if out.isatty() else PlainScreen(out)
