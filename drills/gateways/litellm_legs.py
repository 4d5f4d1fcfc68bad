"""The legs of a LiteLLM config, in the order in which LiteLLM would use them. Pure.

How LiteLLM walks a chain (1.106.2, `router.py` async_function_with_fallbacks_common_utils and
`router_utils/fallback_event_handlers.py`): a request that fails on the lowest `order` of its group goes to the
group's higher orders, then to the group's own fallback list, else to the `"*"` list. A fallback that fails walks its
own list first, then what is left of the first group's. Nothing is tried twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from drills.gateways.domains import Domains, named, shown_chain
from drills.gateways.litellm_config import Config, Deployment, Target
from drills.gateways.litellm_domains import SUPPORTED
from drills.legs import Leg
from drills.problems import Place, Problem, UsageProblem, choices


@dataclass(frozen=True)
class Found:
    """The result of discovery: legs with the deployment behind each, chain first."""

    config: Config
    entry: str
    legs: tuple[tuple[Leg, Deployment], ...]
    notes: tuple[str, ...]


def find(config: Config, model: str | None) -> Found:
    """The legs of a config in the order in which the gateway would use them. Raises `UsageProblem` with every
    problem of the config: what `read` found, an unknown entry, nothing to fail over to, an unsupported provider.
    """
    problems = list(config.problems)
    entry = _entry(config, model, problems)
    levels = _levels(config, entry) if entry else []
    on_chain = {deployment.index: level for level, members in enumerate(levels) for deployment in members}
    problems += [_unsupported(item) for item in config.deployments if item.found is None and item.index in on_chain]
    if entry and len(levels) < 2 and not config.problems:  # else it may only be a consequence
        problems.append(_one_level(config, entry, levels))
    if problems:
        raise UsageProblem(sorted(set(problems), key=lambda problem: (problem.place or Place(""), problem.what)))
    ordered = [deployment for members in levels for deployment in members]
    ordered += [item for item in config.deployments if item.index not in on_chain and item.found is not None]
    legs = tuple(zip(named(_levelled(ordered, on_chain)), ordered, strict=True))
    return Found(config, entry, legs, tuple(_notes(config, entry, model is not None, legs)))


def _entry(config: Config, model: str | None, problems: list[Problem]) -> str:
    if not config.groups:
        return ""
    if model is not None:
        if config.members(model):
            return model
        problems.append(Problem(f"the config has no model {model!r}; {choices(model, config.names())}"))
        return ""
    targets = {target.model for chain in config.chains.values() for target in chain}
    targets |= {target.model for target in config.everyone or ()}
    tiered = [name for name in config.names() if len(_levels(config, name)) > 1]
    own = [name for name in tiered if config.chain_of(name) and name not in targets]
    others = [name for name in tiered if name not in targets]
    several = [name for name in config.names() if len(config.members(name)) > 1]
    return next(iter([*own, *others, *tiered, *several, *config.names()]))


def _levels(config: Config, entry: str) -> list[list[Deployment]]:
    """The deployments by level of the chain, as LiteLLM would try them when every one of them fails."""
    levels: list[list[Deployment]] = []
    attempted: set[object] = set()
    seen: set[int] = set()

    def visit(name: str, order: int | None, depth: int) -> None:
        members = config.members(name)
        orders = sorted({at for _, at in members if at is not None})
        at = order if order is not None else (orders[0] if orders else None)
        fresh = [item for item, own in members if own == at and item.index not in seen]
        seen.update(item.index for item in fresh)
        if fresh:
            levels.append(fresh)
        if depth >= config.max_fallbacks:
            return
        attempted.add(name)
        higher = [(name, other) for other in orders if at is not None and other > at]
        for target, target_order in [*higher, *((t.model, None) for t in _chain(config, name, entry))]:
            key = (target, target_order) if target_order is not None else target
            if (target_order is None and target == name) or key in attempted:
                continue
            attempted.add(key)
            depth += 1
            visit(target, target_order, depth)

    visit(entry, None, 0)
    # a member without an order serves only when every ordered one is cooling down
    rest = [item for item, own in config.members(entry) if own is None and item.index not in seen]
    return [*levels, rest] if rest else levels


def _chain(config: Config, name: str, entry: str) -> Sequence[Target]:
    if config.everyone is not None:
        return config.everyone
    for key in (name, entry):
        chain = config.chain_of(key)
        if chain is not None:
            return chain
    return config.chains.get("*", ())


def _unsupported(deployment: Deployment) -> Problem:
    if deployment.provider:
        what = f"uses the provider {deployment.provider!r}, which a drill cannot stand in for; {_allowed(deployment)}"
    else:
        model = deployment.item.get("litellm_params", "model")
        what = f"has a model without a provider: {'' if model is None else model.text!r}; {_allowed(deployment)}"
    return Problem(f"deployment {deployment.group!r} {what}", deployment.place)


def _allowed(deployment: Deployment) -> str:
    return choices(deployment.provider, SUPPORTED)


def _one_level(config: Config, entry: str, levels: Sequence[Sequence[Deployment]]) -> Problem:
    root = config.document.root
    section = root.get("router_settings")
    if levels and len(levels[0]) > 1:
        what = f"the {len(levels[0])} deployments of {entry!r} share the load on one level; give them `order`, or add"
    else:
        what = f"nothing to fail over to: no fallback leads from {entry!r}; add"
    if config.chain_of(config.aliases.get(entry, "")):
        what = f"{entry!r} is an alias, and LiteLLM looks fallbacks up by the name asked for; add"
    where = section.key_place if section is not None else root.place
    return Problem(f"{what} router_settings.fallbacks: [{{{entry}: [other-model-name]}}]", where)


def _levelled(ordered: Sequence[Deployment], on_chain: Mapping[int, int]) -> Iterator[tuple[Domains, int | None]]:
    for deployment in ordered:
        if deployment.found is None:  # `find` keeps these out
            raise AssertionError(deployment)
        yield deployment.found, on_chain.get(deployment.index)


def _notes(config: Config, entry: str, asked: bool, legs: Sequence[tuple[Leg, Deployment]]) -> Iterator[str]:
    yield f"entry {entry!r}, {_why(config, entry, asked)}; chain: {shown_chain(leg for leg, _ in legs)}"
    for problem in config.document.doubled:
        yield str(problem)
    for name in ("context_window_fallbacks", "content_policy_fallbacks"):
        given = config.document.root.get("router_settings", name) or config.document.root.get("litellm_settings", name)
        if given is not None:
            yield f"{given.key_place}: {name} do not help in an outage; they are not part of the chain"
    if entry in config.aliases and not config.chain_of(entry) and config.chain_of(config.aliases[entry]):
        aliased = config.aliases[entry]
        yield f"{entry!r} is an alias: LiteLLM looks fallbacks up by the name asked for, not by {aliased!r}"
    for deployment in config.deployments:
        if deployment.found is None:
            provider = deployment.provider or "unknown"
            yield f"{deployment.place}: {deployment.group!r} is no leg: a drill does not speak {provider!r}"


def _why(config: Config, entry: str, asked: bool) -> str:
    if asked:
        return "asked for"
    if config.chain_of(entry) or config.chains.get("*") or config.everyone:
        return "the first model with fallbacks that is itself no fallback"
    return "the first model whose deployments have an order"
