"""What differs between two LiteLLM configs, in words. Pure but for reading them.

Equal values in another order of keys, comments and anchors are no difference. The order of lists is one: LiteLLM heeds
it. A value that may be a credential is never shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from drills.gateways import litellm_document, litellm_legs
from drills.gateways.changes import Aspect, Change, chain_changes, into_the_same_cloud
from drills.gateways.items import Item
from drills.gateways.litellm_config import Config, Deployment, Target, read
from drills.gateways.litellm_copy import SHAPING_FIELDS
from drills.gateways.scrub import is_secret
from drills.legs import Leg
from drills.problems import Place, UsageProblem

_ASPECTS = {
    Aspect.TIMEOUT: ("timeout", "stream_timeout", "request_timeout"),
    Aspect.COOLDOWN: (
        *("cooldown_time", "allowed_fails", "allowed_fails_policy", "disable_cooldowns", "health_check_interval"),
        *("background_health_checks", "enable_health_check_routing", "enable_pre_call_checks"),
    ),
    Aspect.RETRY: ("num_retries", "max_retries", "retry_after", "retry_policy", "model_group_retry_policy"),
    Aspect.LEGS: ("order", "weight", "routing_strategy", "model_group_alias", "routing_groups", "model"),
    Aspect.FALLBACK: ("max_fallbacks", "disable_fallbacks"),
    Aspect.DOMAIN: ("aws_region_name", "vertex_location", "vertex_ai_location", "region", "region_name", "api_base"),
}
_ASPECT_OF = {name: aspect for aspect, names in _ASPECTS.items() for name in names}
_SECONDS = {"timeout", "stream_timeout", "request_timeout", "cooldown_time", "retry_after", "health_check_interval"}
_DEFAULTS = {"cooldown_time": "5 s", "allowed_fails": "3", "num_retries": "2"}
"""What LiteLLM 1.106.2 takes when a setting is not there (`router.py`, `constants.py`)."""
_SECTIONS = ("router_settings", "litellm_settings")
_CHAINS = {"fallbacks", "default_fallbacks"}
_SHOWN_AT_MOST = 80

Found = Mapping[tuple[str, ...], tuple[object, Place]]
"""By path of keys: the value, and where its key stands."""


def changes(base: Path, head: Path, model: str | None, env: Mapping[str, str]) -> tuple[Change, ...] | None:
    """See `drills.gateways.changes.TellsChanges`. env: what `os.environ/X` is looked up in, the same for both."""
    try:
        documents = litellm_document.load(base), litellm_document.load(head)
    except UsageProblem:
        return None
    if _canonical(documents[0].root.plain()) == _canonical(documents[1].root.plain()):
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
    return tuple(found) or (Change(Aspect.OTHER, "the config differs in what this tool has no words for"),)


def _canonical(value: object) -> object:
    """Two values are the same when these are equal: with types, and with mappings in a fixed order."""
    if isinstance(value, dict):
        return ("mapping", tuple(sorted((repr(key), _canonical(item)) for key, item in value.items())))
    if isinstance(value, list):
        return ("list", tuple(_canonical(item) for item in value))
    return (type(value).__name__, repr(value))


# --- fallbacks -------------------------------------------------------------------------------------------------------


def _chains(before: Config, now: Config) -> Iterator[Change]:
    for name in dict.fromkeys([*before.chains, *now.chains]):
        old, new = before.chains.get(name, ()), now.chains.get(name, ())
        asked = "every model" if name == "*" else name
        gone = [target for target in old if target.model not in _names(new)]
        come = [target for target in new if target.model not in _names(old)]
        where = new[0].place if new else _fallbacks_place(now)
        if len(gone) == len(come) == 1:
            what = f"the fallback {asked} -> {gone[0].model} now names {come[0].model!r}{_unknown(now, come[0])}"
            yield Change(Aspect.FALLBACK, what, come[0].place, gone[0].place)
            continue
        for target in gone:
            yield Change(Aspect.FALLBACK, f"the fallback {asked} -> {target.model} was removed", where, target.place)
        for target in come:
            what = f"the fallback {asked} -> {target.model} was added{_unknown(now, target)}"
            yield Change(Aspect.FALLBACK, what, target.place)
        if not gone and not come and _names(old) != _names(new):
            what = f"the fallbacks of {asked} are now tried in the order {', '.join(_names(new))}"
            yield Change(Aspect.FALLBACK, f"{what}; before {', '.join(_names(old))}", where, old[0].place)
    if _names(before.everyone or ()) != _names(now.everyone or ()):
        new = now.everyone or ()
        what = f"the fallbacks of every model are now {', '.join(_names(new)) or 'none'}"
        yield Change(Aspect.FALLBACK, what, new[0].place if new else _fallbacks_place(now))


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
    for path in (*((section, "fallbacks") for section in _SECTIONS), *((section,) for section in _SECTIONS)):
        item = root.get(*path)
        if item is not None:
            return item.key_place or item.place
    listed = root.get("model_list")
    return root.place if listed is None else listed.key_place or listed.place


# --- deployments -----------------------------------------------------------------------------------------------------


def _deployments(before: Config, now: Config) -> Iterator[Change]:
    names = {key for config in (before, now) for key in _doubled(config)}
    for old, new in _paired(before.deployments, now.deployments):
        if new is None and old is not None:
            what = f"the deployment {_called(old, names)} was removed"
            listed = now.document.root.get("model_list")
            where = now.document.root.place if listed is None else listed.key_place or listed.place
            yield Change(Aspect.LEGS, what, where, old.place)
        elif old is None and new is not None:
            yield Change(Aspect.LEGS, f"the deployment {_called(new, names)} was added", new.place)
        elif old is not None and new is not None:
            found = _scalars(_below(old.item), _below(new.item), f" of {_called(new, names)}", new.item.place)
            # Another model brings other credentials and addresses with it: those are the same change.
            other = _model(old) != _model(new)
            yield from (one for one in found if not other or one.aspect not in {Aspect.OTHER, Aspect.DOMAIN})
    orders = [[(one.group, _model(one)) for one in config.deployments] for config in (before, now)]
    if orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1]):
        listed = now.document.root.get("model_list")
        yield Change(Aspect.LEGS, "model_list has another order", None if listed is None else listed.key_place)


def _paired(
    before: Sequence[Deployment], now: Sequence[Deployment]
) -> Iterator[tuple[Deployment | None, Deployment | None]]:
    """Deployments that are the same one: by name and model first, then what is left of a name, in order."""
    left, fresh = list(before), []
    for new in now:
        same = next((old for old in left if (old.group, _model(old)) == (new.group, _model(new))), None)
        if same is None:
            fresh.append(new)
        else:
            left.remove(same)
            yield same, new
    for group in dict.fromkeys(one.group for one in (*left, *fresh)):
        yield from zip_longest(*([one for one in side if one.group == group] for side in (left, fresh)))


def _model(deployment: Deployment) -> str:
    item = deployment.item.get("litellm_params", "model")
    return "" if item is None else item.text


def _doubled(config: Config) -> Iterator[str]:
    """Names that several deployments have."""
    groups = [deployment.group for deployment in config.deployments]
    return (group for group in groups if groups.count(group) > 1)


def _called(deployment: Deployment, doubled: set[str]) -> str:
    """A deployment by its name, and by its model where several have that name."""
    return f"{deployment.group} ({_model(deployment)})" if deployment.group in doubled else deployment.group


# --- settings --------------------------------------------------------------------------------------------------------


def _settings(before: Item, now: Item) -> Iterator[Change]:
    for section in dict.fromkeys(str(key) for root in (before, now) for key in root.fields or {}):
        if section == "model_list":
            continue
        old, new = before.get(section), now.get(section)
        where = next((item.key_place for item in (new, now) if item is not None and item.key_place is not None), None)
        yield from _scalars(_below(old, _CHAINS), _below(new, _CHAINS), "", where or now.place)


def _below(item: Item | None, skip: Collection[str] = ()) -> Found:
    """Every value below, lists as a whole, by its path of keys."""
    found: dict[tuple[str, ...], tuple[object, Place]] = {}

    def walk(here: Item, path: tuple[str, ...]) -> None:
        if here.fields is not None:
            for key, value in here.fields.items():
                if str(key) not in skip:
                    walk(value, (*path, str(key)))
        elif not here.empty and path != ("model_name",):
            found[path] = (here.plain(), here.key_place or here.place)

    if item is not None:
        walk(item, ())
    return found


def _scalars(old: Found, new: Found, of: str, nearest: Place) -> Iterator[Change]:
    for path in dict.fromkeys([*old, *new]):
        before, now = old.get(path), new.get(path)
        if before is not None and now is not None and _canonical(before[0]) == _canonical(now[0]):
            continue
        key = path[-1] if path else "a setting"
        place = now[1] if now is not None else nearest
        what = f"{key}{of} {_verb(key, None if before is None else before[0], None if now is None else now[0])}"
        yield Change(_ASPECT_OF.get(key, Aspect.OTHER), what, place, None if before is None else before[1])


def _verb(key: str, before: object, now: object) -> str:
    shown = SHAPING_FIELDS.fullmatch(key) is not None or key in _ASPECT_OF or isinstance(before or now, bool)
    if now is None:
        default = f", default {_DEFAULTS[key]}" if key in _DEFAULTS else ""
        return f"was dropped (it was {_value(key, before)}{default})" if shown else "was dropped"
    if not shown:
        return "was set" if before is None else "was changed"
    if before is None:
        return f"was set to {_value(key, now)}"
    numbers = [value for value in (before, now) if isinstance(value, int | float) and not isinstance(value, bool)]
    verb = "changed" if len(numbers) < 2 else "raised" if numbers[1] > numbers[0] else "lowered"
    return f"{verb} from {_value(key, before)} to {_value(key, now)}"


def _value(key: str, value: object) -> str:
    if isinstance(value, str) and is_secret(value, key):
        return "a secret"
    if key in _SECONDS and isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g} s"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, str) and "@" in text:
        return "a value that may hold a password"
    return text if len(text) <= _SHOWN_AT_MOST else f"{text[: _SHOWN_AT_MOST - 1]}…"


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
