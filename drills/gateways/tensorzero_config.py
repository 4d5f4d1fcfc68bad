"""What a TensorZero config says about routing: models with their providers, functions with their variants. Pure.

A function samples one of its candidate variants; when a variant has failed, it samples among the candidates that are
left, then takes the fallback variants, one after the other. A variant asks one model; a model asks its providers in
the order of `routing`. Nothing is remembered between two requests.

Source: TensorZero 2026.4, `tensorzero-core/src/experimentation/` and `endpoints/inference.rs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from drills.gateways.domains import Domains
from drills.gateways.items import Item
from drills.gateways.tensorzero_providers import (
    KINDS,
    SHORTHAND,
    UNKNOWN_TO_DRILLS,
    from_config,
    from_shorthand,
)
from drills.problems import Place, Problem, choices

CHAT_COMPLETION = "chat_completion"
_SCHEMAS = ("system_schema", "user_schema", "assistant_schema", "schemas")
_NO_KEY = Item(Place(""))


@dataclass(frozen=True)
class Provider:
    """One provider of a model. `found` is None when the drill does not speak its dialect. `item` is its table; None
    for a shorthand model (`openai::gpt-4o`), which has none.
    """

    model: str
    name: str
    kind: str
    found: Domains | None
    item: Item | None
    place: Place


@dataclass(frozen=True)
class Model:
    """A model: its providers in the order in which TensorZero asks them."""

    name: str
    routing: tuple[Provider, ...]


@dataclass(frozen=True)
class Variant:
    """A variant of a function. `model` is "" for a kind that asks several models."""

    name: str
    kind: str
    model: str
    place: Place


@dataclass(frozen=True)
class Function:
    """A function. stages: its variants in the order in which they are tried; those of one stage are drawn by lot.
    structured: where it says that callers must send more than plain text; None when plain text will do.
    """

    name: str
    stages: tuple[tuple[Variant, ...], ...]
    structured: Place | None
    adaptive: bool
    place: Place


@dataclass(frozen=True)
class Config:
    """A config that was read. Shorthand models that a variant names are among the models."""

    root: Item
    models: Mapping[str, Model]
    functions: Mapping[str, Function]
    problems: tuple[Problem, ...]


def read(root: Item, env: Mapping[str, str]) -> Config:
    """Read a config. Problems are collected in the result, so that `tensorzero_legs.find` can report all at once.

    env: the environment that `env::NAME` of regions and endpoints is looked up in.
    """
    problems: list[Problem] = []
    models: dict[str, Model] = {}
    for name, item in _tables(root.get("models")):
        if any(name.startswith(f"{prefix}::") for prefix in (*KINDS, "tensorzero")):
            problems.append(Problem(f"model {name!r}: names like this one are TensorZero's own", _place(item)))
        models[name] = Model(name, tuple(_routing(name, item, env, problems)))
    functions = {name: _function(name, item, models, problems) for name, item in _tables(root.get("functions"))}
    relay = root.get("gateway", "relay")
    if relay is not None:
        what = "gateway.relay sends every request to another gateway, whose legs are not in this config; drill that one"
        problems.append(Problem(what, _place(relay)))
    if not models and not functions:
        problems.append(Problem("the config has no models and no functions", root.place))
    return Config(root, models, functions, tuple(problems))


def _tables(item: Item | None) -> Iterator[tuple[str, Item]]:
    """The tables of a table, by name."""
    for name, one in ((item.fields if item is not None else None) or {}).items():
        yield str(name), one


def _place(item: Item) -> Place:
    return item.key_place or item.place


def _routing(name: str, item: Item, env: Mapping[str, str], problems: list[Problem]) -> Iterator[Provider]:
    listed = item.get("routing")
    providers = dict(_tables(item.get("providers")))
    if listed is None or not listed.items:
        what = f"model {name!r} has no routing: the list of its providers, first choice first"
        problems.append(Problem(what, _place(item if listed is None else listed)))
        return
    for entry in listed.items:
        provider = providers.get(entry.text)
        if not isinstance(entry.scalar, str) or provider is None:
            what = f"model {name!r} has no provider {entry.text!r}; {choices(entry.text, providers)}"
            problems.append(Problem(what, entry.place))
            continue
        kind = provider.get("type")
        known = {*KINDS, *UNKNOWN_TO_DRILLS}
        if kind is None or kind.text not in known:
            has = "has no type" if kind is None else f"has the unknown type {kind.text!r}"
            what = f"provider {entry.text!r} of model {name!r} {has}"
            word, where = ("", _place(provider)) if kind is None else (kind.text, kind.place)
            problems.append(Problem(f"{what}; {choices(word, known)}", where))
            continue
        missing = _missing(kind.text, provider)
        if missing:
            what = f"provider {entry.text!r} of model {name!r} has no {missing}, which {kind.text} needs"
            problems.append(Problem(what, _place(provider)))
            continue
        found = from_config(kind.text, provider, env) if kind.text in KINDS else None
        yield Provider(name, entry.text, kind.text, found, provider, kind.place)


def _missing(kind: str, provider: Item) -> str:
    """A key that this type needs and that is not there; "" when there is none."""
    if kind not in KINDS:
        return ""
    known = KINDS[kind]
    if known.base_key is not None and not known.base and provider.get(known.base_key) is None:
        return known.base_key
    optional = kind == "tgi" or (kind == "gcp_vertex_gemini" and provider.get("endpoint_id") is not None)
    return "" if optional or provider.get(known.model_key) is not None else known.model_key


def _function(name: str, item: Item, models: dict[str, Model], problems: list[Problem]) -> Function:
    variants = {
        variant: _variant(name, variant, table, models, problems) for variant, table in _tables(item.get("variants"))
    }
    if not variants:
        problems.append(Problem(f"function {name!r} has no variants", _place(item)))
    experiment = item.get("experimentation")
    weights = {key: table.get("weight") for key, table in _tables(item.get("variants"))}
    if experiment is not None:
        stages = _stages(name, experiment, variants, problems)
    elif any(weight is not None for weight in weights.values()):
        # the older form: variants with a weight are candidates, those without one fallbacks in no certain order
        candidates = tuple(variants[key] for key, weight in weights.items() if weight is not None and weight.scalar)
        stages = (candidates, tuple(variants[key] for key, weight in weights.items() if weight is None))
    else:
        stages = (tuple(variants.values()),)
    schema = next((found for key in _SCHEMAS if (found := item.get(key)) is not None), None)
    kind = item.get("type")
    if schema is None and kind is not None and kind.text != "chat":
        schema = kind
    return Function(
        name=name,
        stages=tuple(stage for stage in stages if stage),
        structured=None if schema is None else _place(schema),
        adaptive=_is_adaptive(experiment),
        place=_place(item),
    )


def _variant(function: str, name: str, item: Item, models: dict[str, Model], problems: list[Problem]) -> Variant:
    kind = item.get("type")
    model = item.get("model")
    what = f"variant {name!r} of function {function!r}"
    if kind is None or kind.text != CHAT_COMPLETION or model is None:
        if kind is None:
            problems.append(Problem(f"{what} has no type", _place(item)))
        elif kind.text == CHAT_COMPLETION:
            problems.append(Problem(f"{what} has no model", _place(item)))
        return Variant(name, "" if kind is None else kind.text, "", _place(item))
    prefix, colons, rest = model.text.partition("::")
    if model.text not in models and colons and prefix in SHORTHAND:
        found = from_shorthand(prefix, rest)
        models[model.text] = Model(model.text, (Provider(model.text, prefix, prefix, found, None, model.place),))
    elif model.text not in models:
        shorthands = [f"{prefix}::..." for prefix in SHORTHAND]
        problems.append(
            Problem(
                f"{what} asks for the unknown model {model.text!r}; {choices(model.text, [*models, *shorthands])}",
                model.place,
            )
        )
    return Variant(name, kind.text, model.text, model.place)


def _is_adaptive(experiment: Item | None) -> bool:
    kind = experiment.get("type") if experiment is not None else None
    return kind is not None and kind.text in {"adaptive", "track_and_stop"}


def _stages(
    function: str, experiment: Item, variants: Mapping[str, Variant], problems: list[Problem]
) -> tuple[tuple[Variant, ...], ...]:
    def known(item: Item, text: str) -> Iterator[Variant]:
        if text in variants:
            yield variants[text]
        else:
            what = f"function {function!r} has no variant {text!r}; {choices(text, variants)}"
            problems.append(Problem(what, item.place))

    candidates: list[Variant] = []
    listed = experiment.get("candidate_variants") or _NO_KEY
    for item in listed.items or ():
        candidates += known(item, item.text)
    for key, weight in _tables(listed):
        if weight.scalar:  # a weight of 0 takes the variant out
            candidates += known(Item(_place(weight)), key)
    fallbacks: list[Variant] = []
    for item in (experiment.get("fallback_variants") or _NO_KEY).items or ():
        fallbacks += known(item, item.text)
    if not candidates and not fallbacks and listed is _NO_KEY:
        return (tuple(variants.values()),)
    return (tuple(candidates), *((fallback,) for fallback in fallbacks))
