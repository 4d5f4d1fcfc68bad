"""What a LiteLLM config says: deployments, groups, fallbacks, and from them the legs in the order of use. Pure.

How LiteLLM walks a chain (1.106.2, `router.py` async_function_with_fallbacks_common_utils and
`router_utils/fallback_event_handlers.py`): a request that fails on the lowest `order` of its group goes to the
group's higher orders, then to the group's own fallback list, else to the `"*"` list. A fallback that fails walks its
own list first, then what is left of the first group's. Nothing is tried twice.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from drills.gateways.litellm_document import Document, Item
from drills.gateways.litellm_domains import SUPPORTED, Domains, domains, provider_of, slug
from drills.legs import Leg, role_name
from drills.problems import Place, Problem, UsageProblem, choices

ENV_PREFIX = "os.environ/"
ROUTER_MAX_FALLBACKS = 5
"""How deep LiteLLM nests fallbacks when `max_fallbacks` is not set (`litellm.constants`)."""


@dataclass(frozen=True)
class Deployment:
    """One entry of `model_list`. `found` is None when the drill does not speak the provider's dialect."""

    index: int
    group: str
    item: Item
    order: int | None
    found: Domains | None
    provider: str
    ident: str

    @property
    def place(self) -> Place:
        """Where its model is written."""
        model = self.item.get("litellm_params", "model")
        return self.item.place if model is None else model.place


@dataclass(frozen=True)
class Target:
    """One entry of a fallback list: the model name it leads to, and where that is written."""

    model: str
    place: Place


@dataclass(frozen=True)
class Config:
    """A config that was read. `chains`: fallback key -> its list. `everyone`: the list of a format that serves any
    group (`[{model: b}]`); None in the usual format.
    """

    document: Document
    deployments: tuple[Deployment, ...]
    groups: Mapping[str, tuple[tuple[Deployment, int | None], ...]]
    aliases: Mapping[str, str]
    chains: Mapping[str, tuple[Target, ...]]
    everyone: tuple[Target, ...] | None
    max_fallbacks: int
    problems: tuple[Problem, ...]
    env: Mapping[str, str] = field(default_factory=dict)

    def members(self, name: str) -> tuple[tuple[Deployment, int | None], ...]:
        """The deployments, each with its order, that a model name leads to; empty when it leads nowhere."""
        name = self.aliases.get(name, name)
        if name in self.groups:
            return self.groups[name]
        same = tuple((item, item.order) for item in self.deployments if item.ident and item.ident == name)
        if same:
            return same
        wild = [group for group in self.groups if "*" in group and fnmatch.fnmatchcase(name, group)]
        return self.groups[max(wild, key=len)] if wild else ()

    def chain_of(self, name: str) -> tuple[Target, ...] | None:
        """The fallback list that LiteLLM looks up for a model name: its own, else that of the name without its
        provider prefix; None when it has neither (`"*"` is looked up after every name missed).
        """
        if name in self.chains:
            return self.chains[name]
        return self.chains.get(name.partition("/")[2]) if "/" in name else None

    def names(self) -> list[str]:
        """Every model name that a caller can ask for."""
        return list(dict.fromkeys([*self.groups, *self.aliases]))


@dataclass(frozen=True)
class Found:
    """The result of discovery: legs with the deployment behind each, chain first."""

    config: Config
    entry: str
    legs: tuple[tuple[Leg, Deployment], ...]
    notes: tuple[str, ...]


def read(document: Document, env: Mapping[str, str]) -> Config:
    """Read a config. Problems are collected in the result, so that `find_legs` can report all of them at once.

    env: the environment that `os.environ/X` of regions, models and base URLs is looked up in.
    """
    problems: list[Problem] = []
    root = document.root
    section = root.get("environment_variables")
    own = {str(key): item.text for key, item in (section.fields or {}).items()} if section is not None else {}
    env = {**env, **{key: resolve(value, env) for key, value in own.items()}}
    deployments = tuple(_deployments(root, env, problems))
    groups: dict[str, tuple[tuple[Deployment, int | None], ...]] = {}
    for deployment in deployments:
        groups[deployment.group] = (*groups.get(deployment.group, ()), (deployment, deployment.order))
    groups |= _routing_groups(root, groups)
    chains, everyone = _fallbacks(root, problems)
    limit = root.get("router_settings", "max_fallbacks") or root.get("litellm_settings", "max_fallbacks")
    config = Config(
        document=document,
        deployments=deployments,
        groups=groups,
        aliases=_aliases(root),
        chains=chains,
        everyone=everyone,
        max_fallbacks=limit.scalar if limit is not None and isinstance(limit.scalar, int) else ROUTER_MAX_FALLBACKS,
        problems=(),
        env=env,
    )
    if deployments:
        problems += _unknown_targets(config)
    return replace(config, problems=tuple(problems))


def find_legs(config: Config, model: str | None) -> Found:
    """The legs of a config in the order in which the gateway would use them. Raises `UsageProblem` with every
    problem of the config: what `read` found, an unknown entry, nothing to fail over to, an unsupported provider.
    """
    problems = list(config.problems)
    entry = _entry(config, model, problems)
    levels = _levels(config, entry) if entry else []
    on_chain = {deployment.index: level for level, members in enumerate(levels) for deployment in members}
    for deployment in config.deployments:
        if deployment.found is None and deployment.index in on_chain:
            problems.append(_unsupported(deployment))
    if entry and len(levels) < 2:
        problems.append(_one_level(config, entry, levels))
    if problems:
        raise UsageProblem(sorted(set(problems), key=lambda problem: (problem.place or Place(""), problem.what)))
    ordered = [deployment for members in levels for deployment in members]
    ordered += [item for item in config.deployments if item.index not in on_chain and item.found is not None]
    legs = tuple(zip(_named(ordered, on_chain), ordered, strict=True))
    return Found(config, entry, legs, tuple(_notes(config, entry, model, levels, on_chain)))


def resolve(value: str, env: Mapping[str, str]) -> str:
    """A config text with `os.environ/X` replaced by the variable; "" when it is not set."""
    return env.get(value.removeprefix(ENV_PREFIX), "") if value.startswith(ENV_PREFIX) else value


def _deployments(root: Item, env: Mapping[str, str], problems: list[Problem]) -> Iterator[Deployment]:
    listed = root.get("model_list")
    if listed is None or not listed.items:
        place = root.place if listed is None else listed.place
        problems.append(Problem("the config has no model_list with deployments", replace(place)))
        return
    credentials = _credentials(root)
    for index, item in enumerate(listed.items):
        name = item.get("model_name")
        params = item.get("litellm_params")
        model = item.get("litellm_params", "model")
        if name is None:
            problems.append(Problem(f"deployment {index + 1} has no model_name", item.place))
        if params is None or params.fields is None:
            problems.append(Problem(f"deployment {_quoted(name, index)} has no litellm_params", item.place))
        elif model is None:
            problems.append(Problem(f"deployment {_quoted(name, index)} has no litellm_params.model", params.place))
        if name is None or params is None or model is None:
            continue
        stored = credentials.get(_texts(params).get("litellm_credential_name", ""), {})
        texts = {key: resolve(value, env) for key, value in {**stored, **_texts(params)}.items()}
        info = {key: resolve(value, env) for key, value in _texts(item.get("model_info")).items()}
        order = params.get("order") or item.get("model_info", "order")
        base = texts.get("api_base") or texts.get("base_url") or ""
        yield Deployment(
            index=index,
            group=name.text,
            item=item,
            order=order.scalar if order is not None and isinstance(order.scalar, int) else None,
            found=domains(texts, env, info),
            provider=provider_of(texts.get("model", ""), texts.get("custom_llm_provider", ""), base)[0],
            ident=info.get("id", ""),
        )


def _texts(item: Item | None) -> dict[str, str]:
    fields = item.fields if item is not None else None
    return {str(key): value.text for key, value in (fields or {}).items() if value.text}


def _credentials(root: Item) -> dict[str, dict[str, str]]:
    listed = root.get("credential_list")
    return {
        name.text: _texts(item.get("credential_values"))
        for item in (listed.items if listed is not None else None) or ()
        if (name := item.get("credential_name")) is not None
    }


def _quoted(name: Item | None, index: int) -> str:
    return repr(name.text) if name is not None else str(index + 1)


def _aliases(root: Item) -> dict[str, str]:
    """`model_group_alias: {a: b}` and `{a: {model: b, hidden: true}}`."""
    section = root.get("router_settings", "model_group_alias")
    return {
        str(key): target.text
        for key, item in ((section.fields if section is not None else None) or {}).items()
        if (target := item if item.fields is None else item.get("model")) is not None
    }


def _routing_groups(
    root: Item, groups: Mapping[str, tuple[tuple[Deployment, int | None], ...]]
) -> dict[str, tuple[tuple[Deployment, int | None], ...]]:
    """`routing_groups`: a name for several groups; with the strategy `priority` each has its own order."""
    found: dict[str, tuple[tuple[Deployment, int | None], ...]] = {}
    section = root.get("router_settings", "routing_groups")
    for item in (section.items if section is not None else None) or ():
        name, models = item.get("group_name"), item.get("models")
        if name is None or models is None or name.text in groups:
            continue
        members: list[tuple[Deployment, int | None]] = []
        for model in models.items or ():
            priority = item.get("model_priorities", model.text)
            order = priority.scalar if priority is not None and isinstance(priority.scalar, int) else None
            members += [(deployment, order or own) for deployment, own in groups.get(model.text, ())]
        found[name.text] = tuple(members)
    return found


def _fallbacks(root: Item, problems: list[Problem]) -> tuple[dict[str, tuple[Target, ...]], tuple[Target, ...] | None]:
    """Both places; `router_settings` counts when both are given, as in LiteLLM's Router."""
    section = root.get("router_settings", "fallbacks") or root.get("litellm_settings", "fallbacks")
    chains: dict[str, tuple[Target, ...]] = {}
    everyone: list[Target] = []
    entries = (section.items if section is not None else None) or ()
    if section is not None and section.items is None:
        problems.append(Problem("fallbacks must be a list: `- model-name: [other-model-name]`", section.place))
    for entry in entries:
        if entry.fields is None or len(entry.fields) != 1:
            problems.append(Problem("a fallback is one model name with its list: `- a: [b, c]`", entry.place))
            continue
        ((key, value),) = entry.fields.items()
        if key == "model" and value.items is None:
            everyone.append(Target(value.text, value.place))
        elif value.items is None:
            what = "LiteLLM reads a text here letter by letter" if isinstance(value.scalar, str) else "nothing to try"
            problems.append(Problem(f"the fallbacks of {str(key)!r} must be a list; {what}", value.place))
        else:
            chains.setdefault(str(key), _targets(value, problems))
    default = root.get("router_settings", "default_fallbacks") or root.get("litellm_settings", "default_fallbacks")
    if default is not None and default.items is None:
        problems.append(Problem("default_fallbacks must be a list of model names", default.place))
    elif default is not None:
        chains["*"] = _targets(default, problems)
    return chains, tuple(everyone) if everyone else None


def _targets(listed: Item, problems: list[Problem]) -> tuple[Target, ...]:
    targets = []
    for item in listed.items or ():
        named = item if item.fields is None else item.get("model")
        if named is None or not named.text:
            problems.append(Problem("a fallback without a model name", item.place))
        else:
            targets.append(Target(named.text, named.place))
    return tuple(targets)


def _unknown_targets(config: Config) -> Iterator[Problem]:
    names = [*config.groups, *config.aliases]
    for target in [*(t for chain in config.chains.values() for t in chain), *(config.everyone or ())]:
        if not config.members(target.model):
            yield Problem(
                f"the fallback {target.model!r} is no model_name; {choices(target.model, names)}", target.place
            )
    for section in ("router_settings", "litellm_settings"):
        listed = config.document.root.get(section, "fallbacks")
        for entry in (listed.items if listed is not None else None) or ():
            for key, item in (entry.fields or {}).items():
                if key not in ("*", "model") and item.items is not None and not config.members(str(key)):
                    what = f"fallbacks for {str(key)!r}, which is no model_name; {choices(str(key), names)}"
                    yield Problem(what, item.key_place)


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
            if target_order is None and target == name or key in attempted:
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
    model = deployment.item.get("litellm_params", "model")
    spoken = (
        f"the provider {deployment.provider!r}"
        if deployment.provider
        else f"no known provider ({model and model.text!r})"
    )
    return Problem(
        f"deployment {deployment.group!r} uses {spoken}; a drill can stand in for: {', '.join(SUPPORTED)}",
        deployment.place,
    )


def _one_level(config: Config, entry: str, levels: Sequence[Sequence[Deployment]]) -> Problem:
    root = config.document.root
    section = root.get("router_settings")
    if levels and len(levels[0]) > 1:
        what = f"the {len(levels[0])} deployments of {entry!r} share the load on one level; give them `order`, or add"
    else:
        what = f"nothing to fail over to: no fallback leads from {entry!r}; add"
    where = section.key_place if section is not None else root.place
    return Problem(f"{what} router_settings.fallbacks: [{{{entry}: [other-model-name]}}]", where)


def _named(ordered: Sequence[Deployment], on_chain: Mapping[int, int]) -> Iterator[Leg]:
    taken: set[str] = set()
    for deployment in ordered:
        found = deployment.found
        if found is None:  # `find_legs` keeps these out
            raise AssertionError(deployment)
        stem = name = slug(found) or "leg"
        number = 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        level = on_chain.get(deployment.index)
        yield Leg(
            name=name,
            role=None if level is None else role_name(level),
            provider=found.dialect,
            vendor=found.vendor,
            model=found.model,
            cloud=found.cloud,
            region=found.region,
            endpoint=found.base,
        )


def _notes(
    config: Config, entry: str, model: str | None, levels: Sequence[Sequence[Deployment]], on_chain: Mapping[int, int]
) -> Iterator[str]:
    chain = " -> ".join(" + ".join(dict.fromkeys(item.group for item in members)) for members in levels)
    why = "asked for with --model" if model is not None else "the first model with fallbacks that is itself no fallback"
    yield f"entry {entry!r} ({why}); chain: {chain}"
    for problem in config.document.doubled:
        yield str(problem)
    for name in ("context_window_fallbacks", "content_policy_fallbacks"):
        given = config.document.root.get("router_settings", name) or config.document.root.get("litellm_settings", name)
        if given is not None:
            yield f"{given.place}: {name} do not help in an outage; a drill does not count them as part of the chain"
    if entry in config.aliases and not config.chain_of(entry) and config.chain_of(config.aliases[entry]):
        yield f"{entry!r} is an alias: LiteLLM looks fallbacks up by the name asked for, not by {config.aliases[entry]!r}"
    for deployment in config.deployments:
        if deployment.found is None and deployment.index not in on_chain:
            yield f"{deployment.place}: {deployment.group!r} is left out: provider {deployment.provider or 'unknown'!r}"
