"""What is said of a LiteLLM config's settings: each key that differs, with its path and, where they may be shown, both
values. Pure.

A value is shown when its key is known and no secret: never one of `environment_variables`, never user info, query or
fragment of a URL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal

from drills.gateways.changes import Aspect, Change
from drills.gateways.items import Item
from drills.gateways.litellm_copy import SHAPING_FIELDS
from drills.gateways.scrub import is_secret
from drills.problems import Place

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
_SOURCES = {
    "cooldown_time": ("model_info", "litellm_params", "router_settings"),
    "num_retries": ("litellm_params", "router_settings", "litellm_settings"),
    "allowed_fails": ("model_info", "router_settings", "litellm_settings"),
}
"""Where LiteLLM 1.106.2 reads such a setting, the strongest first; it ignores it elsewhere (`router.py`)."""
SECTIONS = ("router_settings", "litellm_settings")
_NEVER_SHOWN = "environment_variables"
CHAINS = {"fallbacks", "default_fallbacks"}
SITS = ("api_base", "base_url", *_ASPECTS[Aspect.DOMAIN][:-1])
PROVIDERS_OWN = ("aws_", "vertex_", "azure_", "api_version", "base_url")
_SHOWN_AT_MOST = 80

Found = Mapping[tuple[str, ...], tuple[object, Place]]
"""By path of keys: the value, and where its key stands."""


def canonical(value: object, key: str = "") -> object:
    """Two values are the same when these are equal: with types, and with mappings in a fixed order. Seconds are the
    same with and without a decimal point.
    """
    if isinstance(value, dict):
        return ("mapping", tuple(sorted((repr(name), canonical(item, str(name))) for name, item in value.items())))
    if isinstance(value, list):
        return ("list", tuple(canonical(item) for item in value))
    if key in _SECONDS and isinstance(value, float) and value.is_integer():
        value = int(value)
    return (type(value).__name__, repr(value))


def below(item: Item | None, skip: Collection[str] = (), above: tuple[str, ...] = ()) -> Found:
    """Every value below, lists as a whole, by its path of keys. skip: keys to leave out. above: the path to item."""
    found: dict[tuple[str, ...], tuple[object, Place]] = {}

    def walk(here: Item, path: tuple[str, ...]) -> None:
        if here.fields is not None:
            for key, value in here.fields.items():
                if str(key) not in skip:
                    walk(value, (*path, str(key)))
        elif not here.empty and path != ("model_name",):
            found[path] = (here.plain(), here.key_place or here.place)

    if item is not None:
        walk(item, above)
    return found


def instead_of(root: Item, deployment: Item | None) -> Callable[[tuple[str, ...]], str]:
    """What to add about a setting that was dropped, by its path: what holds now. deployment: the one it was in, if any,
    as it is now.
    """

    def holds(path: tuple[str, ...]) -> str:
        sources = _SOURCES.get(path[-1], ()) if len(path) == 2 else ()
        if not sources or path[0] not in sources:
            return ""
        for source in sources:
            item = root if source in SECTIONS else deployment
            found = None if item is None else item.get(source, path[-1])
            # LiteLLM takes the router's cooldown_time of 0 for none.
            if found is None or (path[-1] == "cooldown_time" and source in SECTIONS and not found.scalar):
                continue
            value = _value((source, path[-1]), found.plain())
            told = f"the router's {value}" if source == "router_settings" else f"{value} of {source}"
            still = sources.index(source) < sources.index(path[0])
            return f"; {told} applies{', as before' if still else ''}"
        return f", default {_DEFAULTS[path[-1]]}"

    return holds


def scalars(
    old: Found, new: Found, of: str, nearest: Place, instead: Callable[[tuple[str, ...]], str] = lambda _: ""
) -> Iterator[Change]:
    """One change for each value that differs. of: whose it is. nearest: where one that was dropped would stand."""
    for path in dict.fromkeys([*old, *new]):
        before, now = old.get(path), new.get(path)
        key = path[-1] if path else ""
        if before is not None and now is not None and canonical(before[0], key) == canonical(now[0], key):
            continue
        place = now[1] if now is not None else nearest
        verb = _verb(path, None if before is None else before[0], None if now is None else now[0], instead)
        yield Change(aspect_of(path), f"{_key(path)}{of} {verb}", place, None if before is None else before[1])


def aspect_of(path: tuple[str, ...]) -> Aspect:
    """What a setting is about: by its key, else by the nearest above it (the keys below retry_policy: retries)."""
    return next((_ASPECT_OF[key] for key in reversed(path) if key in _ASPECT_OF), Aspect.OTHER)


def _key(path: tuple[str, ...]) -> str:
    """A key with its path, but for what most people write: router_settings and litellm_params themselves."""
    short = path[:1] == ("litellm_params",) or (len(path) == 2 and path[0] in SECTIONS)
    return ".".join(path[1:] if short else path) or "a setting"


def _shown(path: tuple[str, ...], values: Sequence[object]) -> bool:
    """Whether values may be said: numbers, and texts of keys that are known. Never below a key of secrets."""
    if path[:1] == (_NEVER_SHOWN,) or any(is_secret("", key) for key in path):
        return False
    known = aspect_of(path) is not Aspect.OTHER or SHAPING_FIELDS.fullmatch(path[-1] if path else "") is not None
    return known or all(isinstance(value, int | float) for value in values)


def _verb(path: tuple[str, ...], before: object, now: object, instead: Callable[[tuple[str, ...]], str]) -> str:
    shown = _shown(path, [value for value in (before, now) if value is not None])
    if now is None:
        return f"was dropped (it was {_value(path, before)}{instead(path)})" if shown else "was dropped"
    if not shown:
        return "was set" if before is None else "was changed"
    if before is None:
        return f"was set to {_value(path, now)}"
    told = _value(path, before), _value(path, now)
    if told[0] == told[1]:
        return f"was changed in what is not shown here (it is {told[1]})"
    numbers = [value for value in (before, now) if isinstance(value, int | float) and not isinstance(value, bool)]
    verb = "changed" if len(numbers) < 2 else "raised" if numbers[1] > numbers[0] else "lowered"
    return f"{verb} from {told[0]} to {told[1]}"


def _value(path: tuple[str, ...], value: object) -> str:
    key = path[-1] if path else ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{_seconds(value)} s" if key in _SECONDS else str(value)
    if isinstance(value, str):
        return text_of(value, key)
    return _cut(str(_said(value)))


def _seconds(value: float) -> str:
    """As many digits as it takes, and no exponent."""
    return str(value) if isinstance(value, int) else f"{Decimal(repr(value)).normalize():f}"


def _said(value: object, key: str = "") -> object:
    """A list or a mapping with only what may be shown."""
    if isinstance(value, dict):
        return {name: _said(item, str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [_said(item, key) for item in value]
    if is_secret("", key):
        return "a secret"
    return text_of(value, key) if isinstance(value, str) else value


def text_of(value: str, key: str = "") -> str:
    """A text of a config as it may be shown; key: what it stands under."""
    if is_secret(value, key):
        return "a secret"
    if "@" in value:
        return "a value that may hold a password"
    if key in SITS or "://" in value:  # a query goes to the end, whatever stands in it
        path = re.split("[?#]", value, maxsplit=1)[0]
        value = path if path == value else f"{path}?…"
    return _cut(value)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_AT_MOST else f"{text[: _SHOWN_AT_MOST - 1]}…"
