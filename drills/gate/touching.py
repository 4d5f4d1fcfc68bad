"""Which drills a change of a config concerns. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence

from drills.gateways.changes import Aspect, Change
from drills.scenario import FaultUse, Scenario
from faults.base import Connections, Delay, Hang, RequestSeen, StallStream

_OF_SILENCE = {Aspect.TIMEOUT, Aspect.COOLDOWN}
_PROBE = RequestSeen(leg="leg", surface="", operation="chat", model="", stream=True, index=0)


def concerns(change: Change, scenario: Scenario) -> bool:
    """Whether a change can show in a scenario. Timeouts and cooldowns do where a leg goes silent or slow, the cloud of
    a leg where a cloud or a region is lost; anything else may show anywhere.
    """
    if change.aspect in _OF_SILENCE:
        return any(_silent(use) for use in scenario.faults)
    if change.aspect is Aspect.DOMAIN:
        return any(_by_domain(use) for use in scenario.faults)
    return True


def ordered(scenarios: Sequence[Scenario], changes: Sequence[Change]) -> list[Scenario]:
    """The scenarios with those first that the most changes concern; among equals the order given."""
    return sorted(scenarios, key=lambda scenario: -sum(concerns(change, scenario) for change in changes))


def _silent(use: FaultUse) -> bool:
    """Whether only a timeout notices the fault."""
    handshake = use.fault.handshake()
    hung = use.fault.connections() is Connections.BLACKHOLED or (handshake is not None and not handshake.answered)
    if hung or use.fault.plane != "mitm":
        return True
    return isinstance(use.fault.decide(_PROBE, random.Random(0)), Delay | Hang | StallStream)


def _by_domain(use: FaultUse) -> bool:
    return any(key in {"cloud", "region", "cloud_of", "region_of"} for key in use.selector.given())
