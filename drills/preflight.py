"""Requests of the tool's own before and after the load: whether every leg is healthy, and what the plane costs."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from drills import providers
from drills.address import Address, Dress, Reach
from drills.chat import read_whole
from drills.client import Callers, Prober, Sent, clean
from drills.clock import Clock
from drills.events import Ending, Probe, Via
from drills.legs import Leg
from drills.marks import Mark, Shape, read_answer, read_unsigned

PAIRS = 5
"""Requests direct and through the plane, for each leg and kind, from which the plane's own latency is computed."""
ROUNDS = 2
"""Probes of each kind of a leg that is real, before the timeline."""
YARDSTICK = Leg(name="yardstick", role=None, provider="openai", vendor="drill", model="yardstick", cloud="drill")
"""A simulated leg that nobody calls but the drill: what the plane adds is measured on it where all legs are real."""
PROBE_WITHIN_S = 10.0
_GATEWAY_PROBES = 4

Emit = Callable[[Probe], None]


def new_mark() -> Mark:
    """The mark of a probe; as unguessable as that of a caller's request."""
    return Mark(secrets.token_hex(8))


@dataclass(frozen=True, kw_only=True)
class Checkup:
    """The legs of a run, each asked whether it is well.

    simulated: legs that are asked straight and through the plane. real: legs that no simulated provider answers.
    signed_in: legs whose identity service is asked as well. direct: where each leg itself listens. reach: where it
    listens at the plane. streams: whether real legs are asked for streams as well; they may know none.
    """

    prober: Prober
    simulated: Sequence[Leg]
    real: Sequence[Leg]
    signed_in: Sequence[Leg]
    direct: Mapping[str, Address]
    reach: Reach
    streams: bool = True

    async def make(self, emit: Emit, *, pairs: int, rounds: int) -> None:
        """Probe all of them, kind after kind; legs of a kind side by side, each one request at a time, but real ones
        one after the other. `pairs`, `rounds`: how often a simulated leg or an identity service, and a real leg.
        """
        await asyncio.gather(*(self._simulated(leg, emit, pairs) for leg in self.simulated))
        for leg in self.real:
            await self._real(leg, emit, rounds)
        await asyncio.gather(*(self._identity(leg, emit, pairs) for leg in self.signed_in))

    async def _simulated(self, leg: Leg, emit: Emit, pairs: int) -> None:
        """Alternating between straight to it and through the plane, whole and streamed."""
        direct, plane = self.direct[leg.name], self.reach.addresses[leg.name]
        for _ in range(pairs):
            for stream in (False, True):
                emit(await _probe(self.prober, leg, Via.DIRECT, direct, stream))
                emit(await _probe(self.prober, leg, Via.PLANE, plane, stream))

    async def _real(self, leg: Leg, emit: Emit, rounds: int) -> None:
        """Through the plane only: each request may cost money."""
        plane, dress = self.reach.addresses[leg.name], self.reach.dress[leg.name]
        for number in range(2 * rounds):
            emit(await _probe(self.prober, leg, Via.PLANE, plane, self.streams and number % 2 == 1, dress))

    async def _identity(self, leg: Leg, emit: Emit, pairs: int) -> None:
        """For a token, as a simulated leg is asked for an answer."""
        plane = self.reach.identity.get(leg.name) or self.reach.addresses[leg.name]
        for _ in range(pairs):
            emit(await _probe_identity(self.prober, leg, Via.DIRECT, self.direct[leg.name]))
            emit(await _probe_identity(self.prober, leg, Via.PLANE, plane))


async def _probe(prober: Prober, leg: Leg, via: Via, to: Address, stream: bool, dress: Dress | None = None) -> Probe:
    provider = providers.get(leg.provider)
    mark = new_mark()
    request = provider.probe(leg.model, mark.prompt(), stream)
    sent = await prober.send(to, dress.on(request) if dress is not None else request)
    error = _refusal(sent)
    if not error:
        try:
            if dress is not None:
                reading = read_unsigned(read_whole(stream, sent.body), leg.name)
            else:
                reading = read_answer(provider.read(stream, sent.body), mark)
        except ValueError as problem:
            error = clean(str(problem))
        else:
            if reading.shape is not Shape.WHOLE or reading.legs != (leg.name,):
                error = f"answer is {reading.shape}, from {', '.join(reading.legs) or 'nobody'}"
    return _probe_of(mark, leg, via, sent, error, stream=stream)


async def _probe_identity(prober: Prober, leg: Leg, via: Via, to: Address) -> Probe:
    service = providers.identity(leg.provider)
    mark = new_mark()
    sent = await prober.send(to, service.identity_probe(mark.prompt()))
    error = _refusal(sent)
    if not error:
        try:
            service.read_token(sent.body)
        except ValueError as problem:
            error = clean(str(problem))
    return _probe_of(mark, leg, via, sent, error, identity=True)


def _refusal(sent: Sent) -> str:
    """Why an answer is none, as far as HTTP tells; empty when it tells nothing."""
    if not sent.error and sent.status != 200:
        return f"status {sent.status}: {clean(sent.body[:300].decode(errors='replace'))}"
    return sent.error


def _probe_of(  # noqa: PLR0913  a probe has so many sides
    mark: Mark, leg: Leg, via: Via, sent: Sent, error: str, *, stream: bool = False, identity: bool = False
) -> Probe:
    return Probe(
        id=mark.id,
        leg=leg.name,
        via=via,
        stream=stream,
        sent_s=sent.sent_s,
        first_token_s=sent.first_token_s,
        done_s=sent.done_s,
        error=error,
        identity=identity,
    )


async def check_gateway(
    callers: Callers, clock: Clock, emit: Emit, numbers: Sequence[int] = range(_GATEWAY_PROBES), *, streams: bool = True
) -> None:
    """Warm the gateway up as callers would: one request at a time, whole and (`streams`) streamed in turn."""
    for number in numbers:
        mark, stream, sent_s = new_mark(), streams and number % 2 == 1, clock.now_s()
        done = await callers.call(-1 - number, mark, stream, sent_s, PROBE_WITHIN_S * 2)
        if done.ending is Ending.CANCELLED:
            raise asyncio.CancelledError  # the drill is stopped: that says nothing about the gateway
        good = done.ending is Ending.COMPLETE and done.shape is Shape.WHOLE
        shape = f", answer {done.shape}" if done.shape else ""
        emit(
            Probe(
                id=mark.id,
                leg=done.legs[0] if good else None,
                via=Via.GATEWAY,
                stream=stream,
                sent_s=sent_s,
                first_token_s=done.first_token_s,
                done_s=done.done_s,
                error="" if good else f"{done.ending}, status {done.status}{shape}: {done.detail}",
            )
        )
