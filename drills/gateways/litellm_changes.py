"""What differs between two LiteLLM configs, in words. Pure but for reading them.

Equal values in another order of keys, comments and anchors are no difference. The order of lists is one: LiteLLM heeds
it. A value that may be a credential is never shown.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from drills.gateways import litellm_document, litellm_legs
from drills.gateways.changes import Aspect, Change, chain_changes, into_the_same_cloud
from drills.gateways.items import Item
from drills.gateways.litellm_config import Config, Deployment, Target, read
from drills.gateways.litellm_said import (
    CHAINS,
    PROVIDERS_OWN,
    SECTIONS,
    SITS,
    Found,
    aspect_of,
    below,
    canonical,
    instead_of,
    scalars,
    text_of,
)
from drills.gateways.scrub import is_secret, without_url_secrets
from drills.legs import Leg
from drills.problems import Place, UsageProblem


def changes(base: Path, head: Path, model: str | None, env: Mapping[str, str]) -> tuple[Change, ...] | None:
    """See `drills.gateways.changes.TellsChanges`. env: what `os.environ/X` is looked up in, the same for both."""
    try:
        documents = litellm_document.load(base), litellm_document.load(head)
    except UsageProblem:
        return None
    if canonical(documents[0].root.plain()) == canonical(documents[1].root.plain()):
        return ()
    before, now = (read(document, env) for document in documents)
    found = [
        *_chains(before, now),
        *_deployments(before, now),
        *_settings(before.document.root, now.document.root),
        *_clouds(before, now, model),
    ]
    if not found:
        found = [*_legs_alone(before, now, model)]
    found = found or [Change(Aspect.OTHER, "the config differs in what this tool has no words for")]
    # A name may be a URL, too: nothing that was quoted from a config leaves here with what a URL may hide.
    return tuple(replace(one, what=without_url_secrets(one.what)) for one in found)


# --- fallbacks -------------------------------------------------------------------------------------------------------


def _chains(before: Config, now: Config) -> Iterator[Change]:
    for name in dict.fromkeys([*before.chains, *now.chains]):
        old, new = before.chains.get(name, ()), now.chains.get(name, ())
        asked = "every model" if name == "*" else name
        gone = [target for target in old if target.model not in _names(new)]
        come = [target for target in new if target.model not in _names(old)]
        where = new[0].place if new else _fallbacks_place(now)
        if len(gone) == len(come) == 1 and _names(new) == _swapped(old, gone[0], come[0]):
            what = f"the fallback {asked} -> {gone[0].model} now names {come[0].model!r}{_unknown(now, come[0])}"
            yield Change(Aspect.FALLBACK, what, come[0].place, gone[0].place)
            continue
        for target in gone:
            yield Change(Aspect.FALLBACK, f"the fallback {asked} -> {target.model} was removed", where, target.place)
        for target in come:
            what = f"the fallback {asked} -> {target.model} was added{_unknown(now, target)}{_asked_by_none(now, name)}"
            yield Change(Aspect.FALLBACK, what, target.place)
        if not gone and not come and _names(old) != _names(new):
            what = f"the fallbacks of {asked} are now tried in the order {', '.join(_names(new))}"
            yield Change(Aspect.FALLBACK, f"{what}; before {', '.join(_names(old))}", where, old[0].place)
        elif old and new and _names(new) != [*(one for one in _names(old) if one in _names(new)), *_names(come)]:
            what = f"the fallbacks of {asked} are now {' -> '.join(_names(new))}, before {' -> '.join(_names(old))}"
            yield Change(Aspect.FALLBACK, what, where, old[0].place)
    if _names(before.everyone or ()) != _names(now.everyone or ()):
        new = now.everyone or ()
        what = f"the fallbacks of every model are now {', '.join(_names(new)) or 'none'}"
        yield Change(Aspect.FALLBACK, what, new[0].place if new else _fallbacks_place(now))
    settings, others = _own_settings(before), _own_settings(now)
    for key in (key for key in others if key in settings):
        of = f" of the fallback {key[0]} -> {key[1]}"
        yield from scalars(below(settings[key], {"model"}), below(others[key], {"model"}), of, others[key].place)


def _swapped(targets: Sequence[Target], gone: Target, come: Target) -> list[str]:
    return [come.model if target.model == gone.model else target.model for target in targets]


def _own_settings(config: Config) -> dict[tuple[str, str, int], Item]:
    """What the entries of fallback lists bring with them (`{model: x, timeout: 5}`), by the model that is asked for,
    the model they lead to, and how often that was named before.
    """
    found: dict[tuple[str, str, int], Item] = {}
    root = config.document.root
    listed = root.get("router_settings", "fallbacks") or root.get("litellm_settings", "fallbacks")
    lists = [pair for entry in (listed.items if listed else None) or () for pair in (entry.fields or {}).items()]
    default = root.get("router_settings", "default_fallbacks") or root.get("litellm_settings", "default_fallbacks")
    for key, item in [*lists, *([("every model", default)] if default else [])]:
        seen: Counter[str] = Counter()
        for target in item.items or ():
            named = target if target.fields is None else target.get("model")
            name = "" if named is None else named.text
            found.setdefault((str(key), name, seen[name]), target if target.fields is not None else Item(target.place))
            seen[name] += 1
    return found


def _asked_by_none(config: Config, name: str) -> str:
    """What to add about fallbacks of a model that nobody can ask for, when it looks like a typo."""
    names = config.names()
    if name == "*" or config.members(name) or name in {one.partition("/")[2] for one in names}:
        return ""
    near = difflib.get_close_matches(name, names, n=1)
    return f", but {name!r} is no model of this config; did you mean {near[0]!r}?" if near else ""


def _unknown(config: Config, target: Target) -> str:
    """What to add about a fallback that leads nowhere."""
    if config.members(target.model):
        return ""
    near = difflib.get_close_matches(target.model, config.names(), n=1)
    return f", which is no model of this config{f'; did you mean {near[0]!r}?' if near else ''}"


def _names(targets: Sequence[Target]) -> list[str]:
    return [target.model for target in targets]


def _fallbacks_place(config: Config) -> Place:
    """The line that a person would look at for a fallback that is no longer there."""
    root = config.document.root
    for path in (*((section, "fallbacks") for section in SECTIONS), *((section,) for section in SECTIONS)):
        item = root.get(*path)
        if item is not None:
            return item.key_place or item.place
    listed = root.get("model_list")
    return root.place if listed is None else listed.key_place or listed.place


# --- deployments -----------------------------------------------------------------------------------------------------


def _deployments(before: Config, now: Config) -> Iterator[Change]:
    doubled = [_doubled(config) for config in (before, now)]
    names = {key for pair in doubled for key in pair}
    listed = now.document.root.get("model_list")
    where = now.document.root.place if listed is None else listed.key_place or listed.place
    pairs = _paired(before.deployments, now.deployments)
    for old, new in pairs:
        if new is None and old is not None:
            yield Change(Aspect.LEGS, f"the deployment {_called(old, names)} was removed", where, old.place)
        elif old is None and new is not None:
            yield Change(Aspect.LEGS, f"the deployment {_called(new, names)} was added", new.place)
        elif old is not None and new is not None:
            pair, of = (below(old.item), below(new.item)), f" of {_called(new, names)}"
            if old.provider != new.provider:
                # Another provider brings other credentials and addresses with it: those are the same change.
                pair = (_less(pair[0], pair[1]), _less(pair[1], pair[0]))
            yield from scalars(*pair, of, new.item.place, instead_of(now.document.root, new.item))
    kept = [old.index for old, new in pairs if old is not None and new is not None]
    if len(kept) == len(pairs) and kept != sorted(kept):
        yield Change(Aspect.LEGS, "model_list has another order", where)


def _less(these: Found, others: Found) -> Found:
    """Without a provider's credentials and addresses that the other side does not have."""
    return {path: found for path, found in these.items() if path in others or not _of_a_provider(path)}


def _of_a_provider(path: tuple[str, ...]) -> bool:
    key = path[-1] if path else ""
    return aspect_of(path) is Aspect.DOMAIN or is_secret("", key) or key.startswith(PROVIDERS_OWN)


def _paired(
    before: Sequence[Deployment], now: Sequence[Deployment]
) -> list[tuple[Deployment | None, Deployment | None]]:
    """Deployments that are the same one: wholly, or by as much of what tells them apart as possible, and last by their
    order in what is left of a name. In the order of now, then what was removed.
    """
    left, fresh = list(before), list(now)
    pairs: list[tuple[Deployment | None, Deployment | None]] = []
    for alike in _ALIKE:
        for new in tuple(fresh):
            same = next((old for old in left if old.group == new.group and alike(old) == alike(new)), None)
            if same is not None:
                left.remove(same)
                fresh.remove(new)
                pairs.append((same, new))
    for group in dict.fromkeys(one.group for one in (*left, *fresh)):
        gone, come = ([one for one in side if one.group == group] for side in (left, fresh))
        pairs += zip_longest(gone, come)
    return sorted(pairs, key=lambda pair: len(now) if pair[1] is None else pair[1].index)


def _sits(deployment: Deployment) -> tuple[str, ...]:
    """Where a deployment sits, as it is written."""
    found = (deployment.item.get("litellm_params", key) for key in SITS)
    return tuple(item.text for item in found if item is not None)


def _model(deployment: Deployment) -> str:
    item = deployment.item.get("litellm_params", "model")
    return "" if item is None else item.text


_ALIKE: tuple[Callable[[Deployment], object], ...] = (
    lambda one: canonical(one.item.plain()),
    lambda one: (_model(one), _sits(one), one.ident, one.order),
    lambda one: (_model(one), _sits(one), one.order),
    lambda one: (_model(one), _sits(one)),
    _model,
)
"""What two deployments of a name have in common, the most telling first."""


def _doubled(config: Config) -> Iterator[str | tuple[str, str]]:
    """Names that several deployments have, and names with models."""
    groups = [deployment.group for deployment in config.deployments]
    models = [(deployment.group, _model(deployment)) for deployment in config.deployments]
    yield from (group for group in groups if groups.count(group) > 1)
    yield from (model for model in models if models.count(model) > 1)


def _called(deployment: Deployment, doubled: Collection[str | tuple[str, str]]) -> str:
    """A deployment by its name, by its model where several have that name, and by its place where several have both."""
    if deployment.group not in doubled:
        return deployment.group
    model = _model(deployment)
    sits = _sits(deployment) if (deployment.group, model) in doubled else ()
    return f"{deployment.group} ({', '.join(text_of(part) for part in (model, *sits))})"


# --- settings --------------------------------------------------------------------------------------------------------


def _settings(before: Item, now: Item) -> Iterator[Change]:
    for section in dict.fromkeys(str(key) for root in (before, now) for key in root.fields or {}):
        if section == "model_list":
            continue
        old, new = before.get(section), now.get(section)
        where = next((item.key_place for item in (new, now) if item is not None and item.key_place is not None), None)
        found = [below(item, CHAINS, (section,)) for item in (old, new)]
        yield from scalars(found[0], found[1], "", where or now.place, instead_of(now, None))


# --- legs ------------------------------------------------------------------------------------------------------------


def _legs(config: Config, model: str | None) -> tuple[tuple[Leg, Deployment], ...]:
    """The legs of a config; none of one that cannot be drilled, which is said elsewhere."""
    try:
        return litellm_legs.find(config, model).legs
    except UsageProblem:
        return ()


def _clouds(before: Config, now: Config, model: str | None) -> Iterator[Change]:
    old, new = _legs(before, model), _legs(now, model)
    places = {leg.name: deployment.place for leg, deployment in new}
    for leg, what in into_the_same_cloud([leg for leg, _ in old], [leg for leg, _ in new]):
        yield Change(Aspect.DOMAIN, what, places[leg.name])


def _legs_alone(before: Config, now: Config, model: str | None) -> Iterator[Change]:
    legs = [[leg for leg, _ in _legs(config, model)] for config in (before, now)]
    yield from chain_changes(*legs)
