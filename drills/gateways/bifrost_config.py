"""What a Bifrost config.json says about providers, and where the order of legs comes from. Pure.

Bifrost has no fallbacks of its own: each request brings them (`"fallbacks": ["openai/gpt-4o"]`), or a routing rule of
the config does. So a chain is read from what the application sends, else from a rule that matches every request.

Source: Bifrost's documentation (retries and fallbacks, routing rules, provider setup) and `core/providers/`, 2026-09.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from drills.gateways.domains import Domains, cloud_of, host_of, named, region_of_host, shown_chain, vendor_of
from drills.gateways.items import Item
from drills.legs import Leg
from drills.problems import Place, Problem, UsageProblem, choices

ENV_PREFIX = "env."
AWS_REGION = "us-east-1"
"""The region of a Bedrock key that leaves it to the AWS SDK, on a machine that does not say either."""

BASES = {
    "anthropic": ("anthropic", "https://api.anthropic.com"),
    "azure": ("azure", ""),
    "bedrock": ("bedrock", "https://bedrock-runtime.{region}.amazonaws.com"),
    "cerebras": ("openai", "https://api.cerebras.ai"),
    "gemini": ("gemini", "https://generativelanguage.googleapis.com/v1beta"),
    "groq": ("openai", "https://api.groq.com/openai"),
    "mistral": ("openai", "https://api.mistral.ai"),
    "ollama": ("openai", ""),
    "openai": ("openai", "https://api.openai.com"),
    "openrouter": ("openai", "https://openrouter.ai/api"),
    "sgl": ("openai", ""),
    "xai": ("openai", "https://api.x.ai"),
}
"""Provider -> its dialect and the base URL that Bifrost calls when the config names none; "" when it must."""


@dataclass(frozen=True)
class Target:
    """One entry of a chain: `provider/model`, and where it was written, if in a file."""

    provider: str
    model: str
    place: Place | None

    @property
    def text(self) -> str:
        """As Bifrost writes it."""
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True)
class Chain:
    """The order of legs. levels: targets by level; those of one level share the load. source: where it came from.
    in_request: whether each request must bring the fallbacks.
    """

    levels: tuple[tuple[Target, ...], ...]
    source: str
    in_request: bool


@dataclass(frozen=True)
class Reached:
    """What a leg stands for: an entry of `providers`, and the indexes of the keys that lead there."""

    provider: str
    keys: tuple[int, ...]
    found: Domains


@dataclass(frozen=True)
class Found:
    """The result of discovery."""

    root: Item
    chain: Chain
    legs: tuple[tuple[Leg, Reached], ...]
    notes: tuple[str, ...]

    @property
    def entry(self) -> str:
        """The model that callers ask for."""
        return self.chain.levels[0][0].text

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """What callers put into `fallbacks`."""
        levels = self.chain.levels[1:] if self.chain.in_request else ()
        return tuple(target.text for level in levels for target in level)


def asked(words: str) -> Chain:
    """The chain of `--model first/a,second/b`. Raises `UsageProblem` for a word that is no `provider/model`."""
    targets = [_target(word.strip(), None) for word in words.split(",")]
    wrong = [target for target in targets if isinstance(target, Problem)]
    if wrong:
        raise UsageProblem(wrong)
    levels = tuple((target,) for target in targets if isinstance(target, Target))
    return Chain(levels, "asked for", in_request=True)


def of_request(request: Item) -> Chain:
    """The chain of a request body as the application sends it. Raises `UsageProblem`."""
    problems: list[Problem] = []
    model = request.get("model")
    listed = request.get("fallbacks")
    if model is None or not isinstance(model.scalar, str):
        where = request.place if model is None else model.place
        problems.append(Problem('the request has no model: "model": "provider/model"', where))
    if listed is not None and listed.items is None:
        problems.append(Problem('fallbacks must be a list: ["provider/model", ...]', listed.place))
    entries = [*([model] if model is not None and not problems else []), *((listed.items if listed else None) or ())]
    targets = [_entry(entry) for entry in entries]
    problems += [target for target in targets if isinstance(target, Problem)]
    if problems:
        raise UsageProblem(problems)
    levels = tuple((target,) for target in targets if isinstance(target, Target))
    return Chain(levels, f"from {request.place.file}", in_request=True)


def of_rules(root: Item) -> Chain | None:
    """The chain of the first routing rule that holds for every request; None when there is none. Raises `UsageProblem`
    for a target that cannot be read.
    """
    rules = root.get("governance", "routing_rules")
    for rule in (rules.items if rules is not None else None) or ():
        first, rest = _listed(rule, "targets"), _listed(rule, "fallbacks")
        if not _always(rule) or not first or not rest:
            continue
        targets = [_entry(item) for item in first]
        model = next((target.model for target in targets if isinstance(target, Target)), "")
        # a fallback without a model keeps the one that was asked for
        targets += [_entry(item, model) for item in rest]
        wrong = [target for target in targets if isinstance(target, Problem)]
        if wrong:
            raise UsageProblem(wrong)
        read = tuple(target for target in targets if isinstance(target, Target))
        levels = (read[: len(first)], *((target,) for target in read[len(first) :]))
        return Chain(levels, f"from the routing rule at {rule.place}", in_request=False)
    return None


def find(root: Item, chain: Chain | None, env: Mapping[str, str], advice: str) -> Found:
    """The legs of a config. env: the environment that `env.NAME` of regions and endpoints is looked up in.

    advice: what to do when there is no chain. Raises `UsageProblem` with every problem.
    """
    problems: list[Problem] = []
    providers = root.get("providers")
    if providers is None or not providers.fields:
        problems.append(Problem("the config has no providers", (providers or root).place))
    if chain is None:
        problems.append(Problem(f"nothing says in which order to try the providers; {advice}", root.place))
    if chain is None or providers is None or not providers.fields:
        raise UsageProblem(problems)
    reached: list[tuple[int, Reached]] = []
    seen: set[tuple[str, str]] = set()
    for level, targets in enumerate(chain.levels):
        for target in targets:
            for one in _reached(target, providers, env, problems):
                if (one.provider, one.found.base) not in seen:
                    seen.add((one.provider, one.found.base))
                    reached.append((level, one))
    levels = sorted({level for level, _ in reached})
    if len(levels) < 2 and not problems:
        what = f"nothing to fail over to: {chain.source}, only {chain.levels[0][0].provider!r} is used; {advice}"
        problems.append(Problem(what, chain.levels[0][0].place))
    if problems:
        raise UsageProblem(sorted(set(problems), key=lambda problem: (problem.place or Place(""), problem.what)))
    legs = tuple(
        zip(
            named((one.found, levels.index(level)) for level, one in reached),
            (one for _, one in reached),
            strict=True,
        )
    )
    return Found(root, chain, legs, tuple(_notes(root, chain, legs)))


def base_provider(name: str, entry: Item) -> str:
    """The provider whose dialect an entry of `providers` speaks: its own, or the one that a custom one is based on."""
    based = entry.get("custom_provider_config", "base_provider_type")
    return based.text if based is not None else name


def resolve(text: str, env: Mapping[str, str]) -> str:
    """A config text with `env.NAME` replaced by the variable; "" when it is not set."""
    return env.get(text.removeprefix(ENV_PREFIX), "") if text.startswith(ENV_PREFIX) else text


def _target(text: str, place: Place | None) -> Target | Problem:
    provider, slash, model = text.partition("/")
    if not slash or not provider or not model:
        return Problem(f"{text!r} does not say which provider; write it as provider/model", place)
    return Target(provider, model, place)


def _entry(item: Item, model: str = "") -> Target | Problem:
    """`"provider/model"` or `{"provider": ..., "model": ...}`. `model` is the one that is meant when none is given."""
    if item.fields is None:
        text = item.text if "/" in item.text[:-1] or not model else f"{item.text.rstrip('/')}/{model}"
        return _target(text, item.place)
    provider, named_model = item.get("provider"), item.get("model")
    if provider is None or (named_model is None and not model):
        return Problem('a target needs "provider" and "model"', item.place)
    return Target(provider.text, model if named_model is None else named_model.text, item.place)


def _listed(item: Item, key: str) -> tuple[Item, ...]:
    listed = item.get(key)
    return (listed.items if listed is not None else None) or ()


def _always(rule: Item) -> bool:
    """Whether a rule is on and holds for every request."""
    enabled, scope, expression = rule.get("enabled"), rule.get("scope"), rule.get("cel_expression")
    on = enabled is None or enabled.scalar is not False
    everyone = scope is None or scope.text == "global"
    return on and everyone and (expression is None or expression.text.strip() in {"", "true"})


def _reached(target: Target, providers: Item, env: Mapping[str, str], problems: list[Problem]) -> Iterator[Reached]:
    """Where a target's requests go: one leg for each endpoint that a key of its provider leads to."""
    entry = providers.get(target.provider)
    if entry is None:
        names = [str(name) for name in providers.fields or ()]
        what = f"the config has no provider {target.provider!r}; {choices(target.provider, names)}"
        problems.append(Problem(what, target.place))
        return
    base = base_provider(target.provider, entry)
    if base not in BASES:
        what = f"provider {target.provider!r} is one that a drill cannot stand in for; {choices(base, BASES)}"
        problems.append(Problem(what, entry.key_place))
        return
    keys = [(index, key) for index, key in enumerate(_listed(entry, "keys")) if _serves(key, target.model)]
    if not keys and base not in {"ollama", "sgl"}:
        problems.append(Problem(f"no key of provider {target.provider!r} serves {target.model!r}", entry.key_place))
        return
    by_base: dict[str, Reached] = {}
    for index, key in keys or [(-1, entry)]:
        found = _domains(target, base, entry, key, env)
        if not found.base:
            needs = "azure_key_config.endpoint" if base == "azure" else "network_config.base_url"
            problems.append(Problem(f"provider {target.provider!r} has no {needs}", key.place))
            return
        before = by_base.get(found.base)
        by_base[found.base] = Reached(target.provider, (*(before.keys if before else ()), index), found)
    if len(by_base) > 1 and base != "azure":
        regions = ", ".join(sorted(str(one.found.region) for one in by_base.values()))
        what = f"the keys of provider {target.provider!r} lead to several regions ({regions}), and a private copy has"
        problems.append(Problem(f"{what} one base URL for all of them; make each a custom provider", entry.key_place))
        return
    yield from by_base.values()


def _serves(key: Item, model: str) -> bool:
    names = [item.text for item in _listed(key, "models")]
    aliases = key.get("aliases")
    return not names or "*" in names or model in names or (aliases is not None and model in (aliases.fields or {}))


def _domains(target: Target, provider: str, entry: Item, key: Item, env: Mapping[str, str]) -> Domains:
    dialect, default = BASES[provider]
    given = key.get("azure_key_config", "endpoint") if provider == "azure" else entry.get("network_config", "base_url")
    base = resolve(given.text, env) if given is not None else ""
    region: str | None = None
    if provider == "bedrock":
        written = key.get("bedrock_key_config", "region")
        region = (
            region_of_host(host_of(base))
            or (resolve(written.text, env) if written is not None else "")
            or env.get("AWS_REGION")
            or AWS_REGION
        )
    base = base or default.format(region=region)
    alias = key.get("aliases", target.model)
    wire = alias.get("model_name") if alias is not None and alias.fields is not None else alias
    model = wire.text if wire is not None else target.model
    return Domains(
        provider=target.provider,
        dialect=dialect,
        vendor=vendor_of(model, "openai" if provider == "azure" else provider),
        model=model,
        cloud=cloud_of(provider, dialect, base),
        region=region or region_of_host(host_of(base)),
        base=base,
    )


def _notes(root: Item, chain: Chain, legs: tuple[tuple[Leg, Reached], ...]) -> Iterator[str]:
    first = chain.levels[0][0]
    rest = ", ".join(target.text for level in chain.levels[1:] for target in level)
    how = f"with the fallbacks {rest}, {chain.source}" if chain.in_request else chain.source
    yield f"callers ask for {first.text!r} {how}; chain: {shown_chain(leg for leg, _ in legs)}"
    rules = root.get("governance", "routing_rules")
    if chain.in_request and rules is not None and rules.items:
        yield f"{rules.key_place}: the routing rules are left out; the order of the requests counts"
