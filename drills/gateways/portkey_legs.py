"""The legs of a Portkey config, in the order in which Portkey would use them. Pure.

How Portkey walks a config (1.15.2, `handlers/handlerUtils.ts`, tryTargetsRecursively): `fallback` tries its targets
one after the other until one answers, `loadbalance` draws one by weight and stays with it, `single` takes the first.
Targets may have strategies of their own. Nothing is remembered from one request to the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from drills.gateways.domains import Domains, named, vendor_of
from drills.gateways.portkey_config import (
    FALLBACK,
    LOADBALANCE,
    NOT_CONNECTED,
    SINGLE,
    TIMED_OUT,
    UNREACHED,
    Config,
    Target,
)
from drills.gateways.portkey_domains import SUPPORTED, Unsupported, domains
from drills.legs import Leg
from drills.problems import Place, Problem, UsageProblem, choices

_MAKERS = {"anthropic": "anthropic", "google": "google", "openai": "openai"}
"""Providers that serve nobody's models but their own."""


@dataclass(frozen=True)
class Found:
    """The result of discovery: legs with the target behind each and what is known about it, chain first.

    entry: the model that callers ask for.
    """

    config: Config
    entry: str
    legs: tuple[tuple[Leg, Target, Domains], ...]
    notes: tuple[str, ...]


def find(config: Config, model: str | None) -> Found:
    """The legs of a config. Raises `UsageProblem` with every problem: what `read` found, no model to ask for, nothing
    to fail over to, targets on the chain that a drill cannot stand in for.
    """
    problems = list(config.problems)
    levels = [] if problems else _levels(config.root)
    on_chain = {target.where: level for level, members in enumerate(levels) for target in members}
    entry = model or _entry(levels)
    known = [(target, domains(target.provider, target.fields, entry)) for target in config.root.leaves()]
    if not problems:
        problems += _problems(config, levels, entry)
        problems += [
            Problem(f"this target {found.why}; {choices(target.provider, SUPPORTED)}", target.place)
            for target, found in known
            if isinstance(found, Unsupported) and target.where in on_chain
        ]
    if problems:
        raise UsageProblem(sorted(set(problems), key=lambda problem: (problem.place or Place(""), problem.what)))
    spoken = [(target, found) for target, found in known if isinstance(found, Domains)]
    spoken.sort(key=lambda pair: on_chain.get(pair[0].where, len(levels)))  # stable: as written within a level
    names = named((found, on_chain.get(target.where)) for target, found in spoken)
    legs = tuple((leg, target, found) for leg, (target, found) in zip(names, spoken, strict=True))
    left = [(target, found) for target, found in known if isinstance(found, Unsupported)]
    return Found(config, entry, legs, (*_notes(config, entry, legs), *_unused(legs, left)))


def _levels(target: Target) -> list[list[Target]]:
    """The targets that ask providers, by level, as Portkey would come to them when every one of them fails.

    The branches of a `loadbalance` go down side by side: the first choices of each make one level, and so on.
    """
    if target.mode == FALLBACK:
        return [level for below in target.targets for level in _levels(below)]
    if target.mode == SINGLE:
        return _levels(target.targets[0])
    if target.mode == LOADBALANCE:
        branches = [_levels(below) for below in target.targets if below.weight > 0]
        return [[leaf for level in rank for leaf in level] for rank in zip_longest(*branches, fillvalue=[])]
    return [[target]]


def _entry(levels: Sequence[Sequence[Target]]) -> str:
    """The model that callers ask for: that of the first target that names one; each target then asks for its own."""
    leaves = [target for level in levels for target in level]
    names = (target.fields.get(key) for target in leaves for key in ("model", "azure_model_name", "deployment_id"))
    return next((name for name in names if name), "")


def _problems(config: Config, levels: Sequence[Sequence[Target]], entry: str) -> Iterator[Problem]:
    top = config.root
    if not levels:
        yield Problem("every target has the weight 0, so Portkey never asks any", top.place)
        return
    if not entry:
        what = 'no target names a model; add `"override_params": {"model": ...}` to each, or say which one callers ask'
        yield Problem(f"{what} for with --model", top.place)
    if len(levels) < 2:
        if len(levels[0]) > 1:
            what = f"the {len(levels[0])} targets share the load, and Portkey does not turn from one to another; put a"
        else:
            what = "nothing to fail over to: only one target is ever asked; put a"
        where = config.document.key_place(("strategy",)) if top.mode else top.place
        yield Problem(f'{what} `"strategy": {{"mode": "fallback"}}` above two targets', where)


def _notes(config: Config, entry: str, legs: Sequence[tuple[Leg, Target, Domains]]) -> Iterator[str]:
    yield f"callers ask for {entry!r}; chain: {_shown([leg for leg, _, _ in legs])}"
    yield "Portkey remembers nothing: each request asks the first target first, however long that has been failing"
    yield from config.notes
    yield from _codes(config, config.root)
    for leg, target, found in legs:
        maker, own = vendor_of(found.model, ""), _MAKERS.get(target.provider, "")
        if leg.role is not None and not target.fields.get("model") and maker and own and maker != own:
            what = f"it names no model of its own, so {target.provider} is asked for {found.model!r}"
            yield f"{target.place}: {what}; add `override_params`"
    if any(_without_done_mark(found) for _, _, found in legs):
        yield "Portkey ends Gemini's streams without OpenAI's `data: [DONE]`; the finish reason counts as their end"


def done_mark(found: Found) -> bool:
    """Whether Portkey ends every stream of these legs with `data: [DONE]`: it passes on what the provider sends."""
    return not any(_without_done_mark(known) for _, _, known in found.legs)


def _without_done_mark(known: Domains) -> bool:
    return known.dialect == "gemini" or (known.dialect == "vertex" and not known.model.startswith("claude"))


def _codes(config: Config, target: Target) -> Iterator[str]:
    """A fallback that is told its statuses needs those that Portkey makes up itself, or it stops at an outage."""
    if target.mode == FALLBACK and target.codes is not None:
        needed = {UNREACHED: "a connection that fails", NOT_CONNECTED: "a connect that hangs"}
        if any(leaf.timeout_ms for leaf in target.leaves()):
            needed[TIMED_OUT] = "a request_timeout"
        missing = [f"{code} ({why})" for code, why in sorted(needed.items()) if code not in target.codes]
        if missing:
            place = config.document.key_place((*target.where, "strategy", "on_status_codes"))
            yield f"{place}: this fallback does not go on after {', '.join(missing)}, which is what Portkey makes of it"
    for below in target.targets:
        yield from _codes(config, below)


def _unused(legs: Sequence[tuple[Leg, Target, Domains]], left: Sequence[tuple[Target, Unsupported]]) -> Iterator[str]:
    for leg, target, _ in legs:
        if leg.role is None:
            yield f"{target.place}: {leg.name} is never asked (weight 0, or behind the first target of a `single`)"
    for target, found in left:
        yield f"{target.place}: this target is never asked, and {found.why}"


def _shown(legs: Sequence[Leg]) -> str:
    levels: dict[str, list[str]] = {}
    for leg in legs:
        if leg.role is not None:
            levels.setdefault(leg.role, []).append(leg.name)
    return " -> ".join(" + ".join(names) for names in levels.values())
