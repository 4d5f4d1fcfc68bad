"""wire_latency: every byte of the answer arrives late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec

from drills.units import Seconds
from faults.base import Fault, Passage, Toxic
from faults.proof import DELAY_AT_LEAST_S, AnswerSize, Came, Extent, Point, ProbeOutcome, Unprovable


@dataclass(frozen=True)
class WireLatency(Fault):
    """What the leg sends arrives late, to the byte, as over a long or crowded line. Carried out by Toxiproxy.

    Connects and requests are not delayed. Open connections meet it with their next byte, and those that it holds come
    at once when the fault ends. A stream keeps its pace and is only shifted, unless there is jitter.

    latency: how late each piece of the answer is.
    jitter: the latency varies by up to this much either way.
    """

    kind = "wire_latency"
    colour = "#fee391"
    acts = Point.LATE_BYTES
    plane = "toxi"

    latency: Annotated[Seconds, msgspec.Meta(ge=0.001, le=600)]
    jitter: Annotated[Seconds, msgspec.Meta(le=600)] = 0.0

    def __post_init__(self) -> None:
        if self.jitter > self.latency:
            raise ValueError("the jitter cannot be larger than the latency")

    def toxic(self) -> Toxic:
        """Delay downstream, in milliseconds."""
        return Toxic(
            type="latency", attributes={"latency": round(self.latency * 1000), "jitter": round(self.jitter * 1000)}
        )

    def meets(self, passage: Passage) -> bool:
        """Some of an answer came."""
        return passage.sent > 0

    def proves(self, outcome: ProbeOutcome) -> bool:
        """The right answer comes, its first byte not before its time; or nothing came yet, and it is not time yet."""
        least_s = self.latency - self.jitter
        if outcome.first_byte_s is None:
            return outcome.unanswered and outcome.too_soon_for(self.latency + self.jitter)
        in_time = outcome.first_byte_s >= least_s and outcome.late_by(least_s)
        return outcome.came in {Came.WHOLE, Came.SILENT} and in_time

    def costs_s(self, answer: Extent) -> float:
        """The longest latency."""
        return self.latency + self.jitter

    def unprovable(self, answer: AnswerSize) -> Unprovable | None:
        """The shortest delay must be told from noise."""
        if round(self.latency - self.jitter, 6) >= DELAY_AT_LEAST_S:
            return None
        needed = f"at least {DELAY_AT_LEAST_S:g}s must be left when the jitter is taken off"
        return Unprovable("jitter" if self.latency >= DELAY_AT_LEAST_S else "latency", needed)
