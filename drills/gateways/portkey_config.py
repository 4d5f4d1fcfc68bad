"""What a Portkey config says about routing: targets within targets, each with what it inherits. Pure.

Law of this file: what Portkey would refuse is a problem, what it would silently ignore is a note, and what it knows
and we do not is left alone. Source: Portkey 1.15.2, `middlewares/requestValidator/schema/config.ts` (what it
refuses), `handlers/handlerUtils.ts` (what is inherited) and `handlers/retryHandler.ts` (what a failure becomes).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from drills.gateways.portkey_document import Document, Json, Where
from drills.problems import Place, Problem, choices
from drills.yamlsource import shown

FALLBACK, LOADBALANCE, SINGLE = "fallback", "loadbalance", "single"
MODES = (FALLBACK, LOADBALANCE, SINGLE)
_CONDITIONAL = "conditional"
_TEXTS = (
    *("provider", "api_key", "custom_host", "aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
    *("aws_region", "vertex_project_id", "vertex_region", "azure_auth_mode", "azure_model_name"),
    *("openai_project", "openai_organization", "resource_name", "deployment_id", "api_version"),
)
_OBJECTS = ("strategy", "retry", "override_params", "vertex_service_account_json")
_NUMBERS = ("request_timeout", "weight")
_TYPES: tuple[tuple[tuple[str, ...], tuple[type, ...], str], ...] = (
    (_TEXTS, (str,), "text in quotes"),
    (_OBJECTS, (dict,), "an object"),
    (_NUMBERS, (int, float), "a number"),
    (("targets",), (list,), "a list of targets"),
)
KEYS = frozenset(
    {
        *(*_TEXTS, *_OBJECTS, *_NUMBERS),
        *("targets", "virtual_key", "cache", "on_status_codes", "forward_headers", "metadata", "name", "id", "region"),
        *("azure_ad_token", "azure_entra_tenant_id", "azure_entra_client_id", "azure_entra_client_secret"),
        *("azure_managed_client_id", "azure_workload_client_id", "azure_entra_scope", "openai_beta"),
        *("aws_auth_type", "aws_role_arn", "aws_external_id", "anthropic_version", "anthropic_beta", "cb_config"),
        *("input_guardrails", "output_guardrails", "before_request_hooks", "after_request_hooks"),
        *("default_input_guardrails", "default_output_guardrails", "input_mutators", "output_mutators"),
        *("strict_open_ai_compliance", "workers_ai_account_id", "huggingface_base_url", "mistral_fim_completion"),
    }
)
"""Keys that Portkey has, as far as they matter here; one that is nearly one of them is pointed out."""
_WITHIN = {
    "strategy": ("mode", "on_status_codes", "conditions", "default"),
    "retry": ("attempts", "on_status_codes", "use_retry_after_header"),
}
_ENOUGH = (
    *("cache", "retry", "request_timeout", "before_request_hooks", "after_request_hooks"),
    *("input_guardrails", "output_guardrails"),
)
"""Any of these makes Portkey take a target that has no key."""
_CLOUD_ONLY = "lives in Portkey's cloud, which the gateway that a drill starts cannot ask; write"
_WITHOUT_CLOUD = '`"provider"` and its own fields instead (any text will do as `"api_key"`: it is replaced)'
_SHORT_TIMEOUT_MS = 50.0
_NEARLY = 0.8
TIMED_OUT, UNREACHED, NOT_CONNECTED = 408, 500, 503
"""What Portkey makes of a `request_timeout`, of a refused or broken connection, and of a connect that hung."""


@dataclass(frozen=True)
class Target:
    """One target, or the whole config, with what it inherits filled in.

    where: its path in the config. mode: of its strategy; empty for a target that asks a provider itself. fields: its
    texts, `custom_host` and `model` inherited. timeout_ms: None when it may take for ever. codes: the statuses on
    which its fallback goes on; None when it goes on after every failure.
    """

    where: Where
    place: Place
    provider: str
    mode: str = ""
    targets: tuple[Target, ...] = ()
    weight: float = 1.0
    fields: Mapping[str, str] = field(default_factory=dict)
    timeout_ms: float | None = None
    codes: tuple[int, ...] | None = None

    @property
    def claim(self) -> str:
        """How Portkey names it in `x-portkey-last-used-option-index`."""
        return "config" + "".join(f".targets[{step}]" for step in self.where if isinstance(step, int))

    def leaves(self) -> Iterator[Target]:
        """Every target below that asks a provider, this one included, in the order in which they are written."""
        if not self.targets:
            yield self
        for target in self.targets:
            yield from target.leaves()


@dataclass(frozen=True)
class Config:
    """A config that was read. Its problems are kept, so that those of the chain can be reported with them."""

    document: Document
    root: Target
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def read(document: Document) -> Config:
    """Read a config."""
    reader = _Reader(document)
    root = reader.target(document.values(), (), _Inherited())
    return Config(document, root, tuple(dict.fromkeys(reader.problems)), tuple(dict.fromkeys(reader.notes)))


@dataclass(frozen=True)
class _Inherited:
    custom_host: str = ""
    model: str = ""
    timeout_ms: float | None = None


class _Reader:
    """Walks a config from the top, and collects what is wrong with it."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def target(self, given: Json, where: Where, inherited: _Inherited) -> Target:
        """A target and all below it."""
        self._keys(given, where)
        for keys, kinds, word in _TYPES:
            for key in keys:
                if given.get(key) is not None and (not isinstance(given[key], kinds) or isinstance(given[key], bool)):
                    self._wrong((*where, key), f"{key} must be {word}")
        self._retry(given, where)
        now = self._inherit(given, where, inherited)
        mode, codes = self._strategy(given, where)
        below = given.get("targets")
        targets: list[Target] = []
        for index, item in enumerate(below if isinstance(below, list) else ()):
            if isinstance(item, dict):
                targets.append(self.target(item, (*where, "targets", index), now))
            else:
                self._wrong((*where, "targets", index), "a target must be an object")
        weight = given.get("weight")
        found = Target(
            where=where,
            place=self._document.place(where),
            provider=_text(given, "provider"),
            mode=mode,
            targets=tuple(targets),
            weight=float(weight) if isinstance(weight, int | float) else 1.0,
            fields=_fields(given, now),
            timeout_ms=now.timeout_ms,
            codes=codes,
        )
        if not mode and not self._inside_out(given, where):
            self._leaf(given, found)
        return found

    def _wrong(self, where: Where, what: str) -> None:
        self.problems.append(Problem(what, self._document.place(where)))

    def _note(self, where: Where, what: str) -> None:
        self.notes.append(f"{self._document.key_place(where)}: {what}")

    def _keys(self, given: Json, where: Where) -> None:
        """Portkey ignores a key that it does not know, so one that is nearly right changes nothing and says nothing."""
        for key in given:
            place = self._document.key_place((*where, key))
            plain = re.sub(r"[A-Z]", lambda big: f"_{big[0].lower()}", key)
            if key in KEYS:
                continue
            if plain in KEYS:
                self.problems.append(Problem(f"write {plain!r}: Portkey does not check {shown(key)}", place))
            elif key == "options" or (key == "mode" and not where):
                what = f"Portkey no longer takes {key!r}: write `strategy` and `targets`"
                self.problems.append(Problem(what, place))
            else:
                self._nearly(key, KEYS, where)
        for section, known in _WITHIN.items():
            below = given.get(section)
            for key in below if isinstance(below, dict) else ():
                self._nearly(key, known, (*where, section))
        if given.get("virtual_key") is not None:
            what = f"a virtual key {_CLOUD_ONLY} {_WITHOUT_CLOUD}"
            self.problems.append(Problem(what, self._document.key_place((*where, "virtual_key"))))
        if "on_status_codes" in given:
            what = "on_status_codes counts within `strategy` (fallback) or `retry`; here Portkey ignores it"
            self._note((*where, "on_status_codes"), what)
        if "cb_config" in given:
            self._note((*where, "cb_config"), "the circuit breaker is part of Portkey's cloud; the gateway has none")

    def _nearly(self, key: str, known: Collection[str], where: Where) -> None:
        near = difflib.get_close_matches(key, known, n=1, cutoff=_NEARLY)
        if near and key not in known:
            self._note((*where, key), f"Portkey ignores {shown(key)}; did you mean {near[0]!r}?")

    def _retry(self, given: Json, where: Where) -> None:
        retry = given.get("retry")
        if not isinstance(retry, dict):
            return
        attempts = retry.get("attempts")
        if not isinstance(attempts, int) or isinstance(attempts, bool):
            self._wrong((*where, "retry", "attempts"), "retry needs `attempts`, a whole number")
        self._codes(retry, (*where, "retry"))

    def _codes(self, given: Json, where: Where) -> tuple[int, ...] | None:
        codes = given.get("on_status_codes")
        if codes is None:
            return None
        if not isinstance(codes, list) or not all(isinstance(code, int) and code is not True for code in codes):
            self._wrong((*where, "on_status_codes"), "on_status_codes must be a list of numbers: [429, 503]")
            return None
        return tuple(codes)

    def _inherit(self, given: Json, where: Where, inherited: _Inherited) -> _Inherited:
        override = given.get("override_params")
        model = override.get("model") if isinstance(override, dict) else None
        if model is not None and not isinstance(model, str):
            self._wrong((*where, "override_params", "model"), "override_params.model must be text in quotes")
            model = None
        if model is not None and model.startswith("@"):
            what = f"the model {shown(model)} {_CLOUD_ONLY} {_WITHOUT_CLOUD}, and the provider's name of the model"
            self._wrong((*where, "override_params", "model"), what)
        timeout = given.get("request_timeout")
        own = float(timeout) if isinstance(timeout, int | float) and timeout is not True else None
        if own is not None and own < 0:
            self._wrong((*where, "request_timeout"), "request_timeout must be above 0 (milliseconds)")
        elif own is not None and own < _SHORT_TIMEOUT_MS:
            says = "0 is no timeout" if own == 0 else f"{own:g} is {own / 1000:g} s"
            self._note((*where, "request_timeout"), f"request_timeout is in milliseconds: {says}")
        return _Inherited(
            custom_host=_text(given, "custom_host") or inherited.custom_host,
            model=model or inherited.model,
            timeout_ms=own or inherited.timeout_ms,
        )

    def _strategy(self, given: Json, where: Where) -> tuple[str, tuple[int, ...] | None]:
        """Mode and codes; an empty mode where there is none that can be followed."""
        strategy = given.get("strategy")
        if not isinstance(strategy, dict):
            return "", None
        here = (*where, "strategy")
        mode, codes = strategy.get("mode"), self._codes(strategy, here)
        if mode == _CONDITIONAL:
            what = "'conditional' picks a target by what each request says of itself, which a drill does not know; "
            self._wrong((*here, "mode"), f"{what}drill one of its targets in a file of its own ({', '.join(MODES)})")
        elif mode is None or mode not in MODES:
            what = "strategy needs a `mode`" if mode is None else f"unknown strategy mode {shown(str(mode))}"
            self._wrong((*here, "mode"), f"{what}; {choices(str(mode or ''), (*MODES, _CONDITIONAL))}")
        elif not isinstance(given.get("targets"), list) or not given["targets"]:
            self._wrong((*where, "targets"), f"the strategy {mode!r} needs `targets`, a list with at least one")
        else:
            return str(mode), codes
        return "", None

    def _inside_out(self, given: Json, where: Where) -> bool:
        """Whether this is no target that asks a provider, but a strategy that something is wrong with."""
        if given.get("strategy") is not None:
            return True
        if "targets" not in given:
            return False
        what = '`targets` need a strategy beside them: `"strategy": {"mode": "fallback"}`'
        self.problems.append(Problem(what, self._document.key_place((*where, "targets"))))
        return True

    def _leaf(self, given: Json, target: Target) -> None:
        """What Portkey would refuse in a target that asks a provider."""
        provider, where = target.provider, target.where
        if provider.startswith("@"):
            self._wrong((*where, "provider"), f"the provider {shown(provider)} {_CLOUD_ONLY} {_WITHOUT_CLOUD}")
            return
        if given.get("virtual_key") is not None:
            return
        if not provider:
            self._wrong(
                where,
                "this target names no `provider`" if where else "the config has neither `targets` nor a `provider`",
            )
            return
        vertex = bool(given.get("vertex_service_account_json") or given.get("vertex_project_id"))
        if provider == "vertex-ai" and not (given.get("vertex_region") and vertex):
            what = "vertex-ai needs `vertex_region`, and `vertex_project_id` or `vertex_service_account_json`"
            self._wrong(where, f"Portkey refuses this target: {what}")
        elif provider == "azure-openai" and not (_text(given, "resource_name") or target.fields.get("custom_host")):
            self._wrong(where, "azure-openai needs `resource_name`, or the address of a proxy in `custom_host`")
        elif provider == "azure-openai" and not (given.get("deployment_id") or given.get("api_version") == "v1"):
            self._wrong(where, "azure-openai needs `deployment_id`")
        elif provider == "ollama" and not target.fields.get("custom_host"):
            self._wrong(where, "ollama needs `custom_host`")
        elif not _accepted(given, provider):
            self._wrong(where, f"Portkey refuses a target of {provider!r} without `api_key`")


def _accepted(given: Json, provider: str) -> bool:
    """Portkey's own rule for a target that asks a provider."""
    return (
        given.get("api_key") is not None
        or any(given.get(key) for key in _ENOUGH)
        or provider in {"ollama", "triton", "vertex-ai"}
        or bool(given.get("aws_access_key_id") and given.get("aws_secret_access_key"))
        or (provider == "azure-openai" and bool(given.get("azure_auth_mode")))
    )


def _fields(given: Json, inherited: _Inherited) -> dict[str, str]:
    """The texts of a target that say where it leads."""
    found = {key: value for key, value in given.items() if isinstance(value, str)}
    found |= {"custom_host": inherited.custom_host, "model": inherited.model}
    if given.get("vertex_service_account_json"):
        found["signs_in"] = "yes"
    return found


def _text(given: Json, key: str) -> str:
    value = given.get(key)
    return value if isinstance(value, str) else ""
