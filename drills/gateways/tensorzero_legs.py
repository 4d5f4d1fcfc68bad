"""The legs of a TensorZero config, in the order in which a request would try them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from drills.gateways.domains import named, shown_chain
from drills.gateways.tensorzero_config import CHAT_COMPLETION, Config, Function, Provider, Variant
from drills.gateways.tensorzero_providers import KINDS, REACHABLE
from drills.legs import Leg
from drills.problems import Place, Problem, UsageProblem, choices
from drills.routes import Route

FUNCTION = "tensorzero::function_name::"
MODEL = "tensorzero::model_name::"


@dataclass(frozen=True)
class Found:
    """The result of discovery. entry: what callers ask for, in full. function: the one behind it; None for a model.

    legs: in the order of the chain, each with its provider. variants: those of the function that the chain uses.
    """

    config: Config
    entry: str
    function: Function | None
    legs: tuple[tuple[Leg, Provider], ...]
    notes: tuple[str, ...]

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The variants that the function can use, in the order of their stages."""
        stages = self.function.stages if self.function is not None else ()
        return tuple(variant for stage in stages for variant in stage)


def find(config: Config, asked: str | None) -> Found:
    """The legs of a config. asked: a function or model, by its own or by its full name; chosen when None.

    Raises `UsageProblem` with every problem of the config: what `read` found, an unknown entry, nothing to fail over
    to, a provider that a drill cannot stand in for.
    """
    problems = list(config.problems)
    entry = _entry(config, asked, problems)
    function = config.functions.get(entry.removeprefix(FUNCTION)) if entry.startswith(FUNCTION) else None
    if function is not None:
        problems += _unfit(function, config)
    levels = _levels(config, entry)
    on_chain = [(level, provider) for level, providers in enumerate(levels) for provider in providers]
    problems += [problem for _, provider in on_chain for problem in _unspoken(provider)]
    if entry and len(levels) < 2 and not config.problems:  # else it may only be a consequence
        problems.append(_one_level(config, entry, levels))
    if problems:
        raise UsageProblem(sorted(set(problems), key=lambda problem: (problem.place or Place(""), problem.what)))
    known = [(provider, level) for level, provider in on_chain if provider.found is not None]
    legs = tuple(
        zip(
            named((provider.found, level) for provider, level in known if provider.found is not None),
            (provider for provider, _ in known),
            strict=True,
        )
    )
    return Found(config, entry, function, legs, tuple(_notes(config, entry, asked, legs)))


def _entry(config: Config, asked: str | None, problems: list[Problem]) -> str:
    """What callers ask for, in full; "" with a problem when there is no such thing."""
    functions = [f"{FUNCTION}{name}" for name in config.functions]
    models = [f"{MODEL}{name}" for name in config.models]
    if asked is not None:
        for full in (asked, f"{FUNCTION}{asked}", f"{MODEL}{asked}"):
            if full in {*functions, *models}:
                return full
        names = [*config.functions, *config.models]
        problems.append(Problem(f"the config has no function or model {asked!r}; {choices(asked, names)}"))
        return ""
    plain = [name for name in functions if config.functions[name.removeprefix(FUNCTION)].structured is None]
    tiered = [name for name in [*plain, *models] if len(_levels(config, name)) > 1]
    return next(iter([*tiered, *plain, *models, *functions]), "")


def _levels(config: Config, entry: str) -> list[list[Provider]]:
    """The providers by level: as one request tries them when every one of them fails."""
    levels: list[list[Provider]] = []
    seen: set[tuple[str, str]] = set()
    for stage in _models(config, entry):
        routings = [config.models[name].routing for name in stage if name in config.models]
        for at in range(max(map(len, routings), default=0)):
            level = []
            for routing in routings:
                key = (routing[at].model, routing[at].name) if at < len(routing) else None
                if key is not None and key not in seen:
                    seen.add(key)
                    level.append(routing[at])
            if level:
                levels.append(level)
    return levels


def _models(config: Config, entry: str) -> list[list[str]]:
    """The models by stage: those of one stage are drawn by lot."""
    if entry.startswith(MODEL):
        return [[entry.removeprefix(MODEL)]]
    function = config.functions.get(entry.removeprefix(FUNCTION))
    return [[variant.model for variant in stage] for stage in function.stages] if function is not None else []


def _unfit(function: Function, config: Config) -> Iterator[Problem]:
    """Why a function cannot be drilled by callers who send plain text."""
    models = [name for name in config.models if "::" not in name]
    instead = f"; drill a model instead: --model {MODEL}{models[0]}" if models else ""
    if function.structured is not None:
        what = f"function {function.name!r} takes or gives structured data, and a drill's callers send plain text"
        yield Problem(f"{what}{instead}", function.structured)
    for stage in function.stages:
        for variant in stage:
            if variant.kind not in {CHAT_COMPLETION, ""}:
                what = f"variant {variant.name!r} is of type {variant.kind!r}, which asks several models at once"
                yield Problem(f"{what}; a drill follows {CHAT_COMPLETION}{instead}", variant.place)


def _unspoken(provider: Provider) -> Iterator[Problem]:
    if provider.found is None:
        what = f"{_who(provider)} is of type {provider.kind!r}, which a drill cannot stand in for"
        yield Problem(f"{what}; {choices(provider.kind, KINDS)}", provider.place)


def without_base_url(found: Found) -> Iterator[Problem]:
    """Why a private copy cannot lead a leg elsewhere: TensorZero has no setting for that."""
    for _, provider in found.legs:
        if KINDS[provider.kind].base_key is None:
            what = f"{_who(provider)}: TensorZero has no base URL setting for {provider.kind!r}, so a private copy"
            what = f"{what} cannot redirect it; use --route {Route.FORWARD} or --route {Route.SEALED}"
            yield Problem(f"{what}, or only these: {', '.join(REACHABLE)}", provider.place)


def _who(provider: Provider) -> str:
    return f"provider {provider.name!r} of model {provider.model!r}"


def _one_level(config: Config, entry: str, levels: Sequence[Sequence[Provider]]) -> Problem:
    function = config.functions.get(entry.removeprefix(FUNCTION)) if entry.startswith(FUNCTION) else None
    if function is None:
        name = entry.removeprefix(MODEL)
        what = f"nothing to fail over to: model {name!r} has one provider; add another to its routing"
        routing = config.root.get("models", name, "routing")
        return Problem(what, (routing or config.root).place)
    if levels and len(levels[0]) > 1:
        what = f"the {len(levels[0])} variants of function {function.name!r} share the load on one level"
    else:
        what = f"nothing to fail over to: function {function.name!r} leads to one provider"
    return Problem(f"{what}; add providers to its model's routing, or fallback_variants", function.place)


def _notes(config: Config, entry: str, asked: str | None, legs: Sequence[tuple[Leg, Provider]]) -> Iterator[str]:
    why = "asked for" if asked is not None else "the first function or model with something to fail over to"
    yield f"entry {entry!r}, {why}; chain: {shown_chain(leg for leg, _ in legs)}"
    for name, function in config.functions.items():
        if asked is None and function.structured is not None and len(_levels(config, f"{FUNCTION}{name}")) > 1:
            yield f"{function.structured}: function {name!r} takes structured data; it was not considered"
