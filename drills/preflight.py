"""Requests of the tool's own before and after the load: whether every leg is healthy, and what the plane costs."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence

from drills import providers
from drills.address import Address, Dress
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


async def check_legs(
    prober: Prober,
    legs: Sequence[Leg],
    direct: Mapping[str, Address],
    plane: Mapping[str, Address],
    emit: Emit,
    *,
    pairs: int,
) -> None:
    """Probe every leg, alternating between straight to it and through the plane, whole and streamed.

    `direct` and `plane` say where each leg listens. Legs are probed side by side, each one request at a time.
    """

    async def one_leg(leg: Leg) -> None:
        for _ in range(pairs):
            for stream in (False, True):
                emit(await _probe(prober, leg, Via.DIRECT, direct[leg.name], stream))
                emit(await _probe(prober, leg, Via.PLANE, plane[leg.name], stream))

    await asyncio.gather(*(one_leg(leg) for leg in legs))


async def check_entrances(
    prober: Prober,
    legs: Sequence[Leg],
    plane: Mapping[str, Address],
    dress: Mapping[str, Dress],
    emit: Emit,
    *,
    rounds: int,
) -> None:
    """Probe legs that no simulated provider answers, through the plane only: each request may cost money."""
    for leg in legs:
        for number in range(2 * rounds):
            emit(await _probe(prober, leg, Via.PLANE, plane[leg.name], number % 2 == 1, dress[leg.name]))


async def check_identity(
    prober: Prober,
    legs: Sequence[Leg],
    direct: Mapping[str, Address],
    plane: Mapping[str, Address],
    emit: Emit,
    *,
    pairs: int,
) -> None:
    """Ask the identity service of each of these legs for a token, as `check_legs` asks the models."""

    async def one_leg(leg: Leg) -> None:
        for _ in range(pairs):
            emit(await _probe_identity(prober, leg, Via.DIRECT, direct[leg.name]))
            emit(await _probe_identity(prober, leg, Via.PLANE, plane[leg.name]))

    await asyncio.gather(*(one_leg(leg) for leg in legs))


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
    callers: Callers, clock: Clock, emit: Emit, numbers: Sequence[int] = range(_GATEWAY_PROBES)
) -> None:
    """Warm the gateway up as callers would: one request at a time, whole and streamed in turn."""
    for number in numbers:
        mark, stream, sent_s = new_mark(), number % 2 == 1, clock.now_s()
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
