"""The last drill of each scenario on each gateway and config: what the verdict of a quarter rests on. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from drills.quarter.configs import Configs, Spell, short


@dataclass(frozen=True)
class Drilled:
    """A drill of the quarter that counts, or one that failed and was pruned since.

    began: ISO 8601 in UTC. bad: it failed, or a recovery in it was surely beyond its objective.
    """

    scenario: str
    gateway: str
    config: str
    began: str
    name: str
    bad: bool
    pruned: bool = False
    model: str = ""


@dataclass(frozen=True)
class Lasts:
    """count: pairs of scenario and gateway, with each config of a gateway that was in use beside another one by itself.
    bad: those whose last drill was bad. replaced: bad last drills of configs that another one took the place of.
    """

    count: int
    bad: tuple[str, ...]
    replaced: tuple[str, ...]


def lasts(drilled: Iterable[Drilled], spells: Sequence[Spell]) -> Lasts:
    """The last drills. spells: of all four quarters, since a config that was in use before and comes back was not
    replaced meanwhile.

    A later drill of another config proves nothing about the first one, unless that was given up: then its last drill
    came before the first one of the other, which was drilled in the same scenario.
    """
    configs = Configs(spells)
    last: dict[tuple[str, str, str, str], Drilled] = {}
    models: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in sorted(drilled, key=lambda one: (one.began, one.name)):
        last[one.scenario, one.gateway, short(one.config), one.model] = one
        models[one.gateway, short(one.config)].add(one.model)
    over = {
        key: one
        for key, one in last.items()
        if any(
            (one.scenario, one.gateway, later) in {key[:3] for key in last}
            for later in configs.after(one.gateway, short(one.config))
        )
    }
    return Lasts(
        count=len(last) - len(over),
        bad=tuple(_label(one, configs, models) for key, one in sorted(last.items()) if one.bad and key not in over),
        replaced=tuple(_label(one, configs, models) for _, one in sorted(over.items()) if one.bad),
    )


def _label(one: Drilled, configs: Configs, models: Mapping[tuple[str, str], Collection[str]]) -> str:
    several = f", config {short(one.config)}" if configs.of(one.gateway, one.config) else ""
    if len(models[one.gateway, short(one.config)]) > 1:
        several += f", asked for {one.model or 'what nobody wrote down'}"
    return f"{one.scenario} on {one.gateway}{several}{', pruned' if one.pruned else ''}"
