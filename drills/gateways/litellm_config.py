"""What a LiteLLM config says about routing: deployments, groups, aliases and fallbacks, in every form. Pure.

Source: LiteLLM 1.106.2, `proxy/proxy_server.py` (load_config), `router.py` and `router_utils/`.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from drills.gateways.domains import Domains
from drills.gateways.items import Item
from drills.gateways.litellm_document import Document
from drills.gateways.litellm_domains import domains, provider_of
from drills.gateways.litellm_offline import ENV_PREFIX
from drills.problems import Place, Problem, choices

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


def read(document: Document, env: Mapping[str, str]) -> Config:
    """Read a config. Problems are collected in the result, so that `litellm_legs.find` can report all of them at once.

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
    general = root.get("general_settings")
    master = general.fields.get("master_key") if general is not None and general.fields is not None else None
    if master is not None and (why := _wrong_master_key(master)):
        # The private copy has a key of its own, and would hide that the user's file does not start.
        what = f"LiteLLM does not start with {why}, or write os.environ/LITELLM_MASTER_KEY"
        problems.append(Problem(what, master.key_place or master.place))
    return replace(config, problems=tuple(problems))


def _wrong_master_key(master: Item) -> str:
    """What is wrong with a master key, and what to do; empty when nothing is. Its value is nothing to say."""
    if master.empty or not master.text.strip():
        return "an empty master_key; take it out"
    return "" if isinstance(master.scalar, str) else "a master_key that is no text; put it in quotes"


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
    served = {name.partition("/")[2] for name in names} | {"*"}
    for section in ("router_settings", "litellm_settings"):
        listed = config.document.root.get(section, "fallbacks")
        for entry in (listed.items if listed is not None else None) or ():
            for key, item in (entry.fields or {}).items():
                if item.items is None or len(entry.fields or {}) > 1 or str(key) in served:
                    continue
                if not config.members(str(key)):
                    what = f"fallbacks for {str(key)!r}, which is no model_name; {choices(str(key), names)}"
                    yield Problem(what, item.key_place)
