"""The private copy of a Portkey config that a drill sends: other hosts and dummy credentials, all else unchanged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from drills.gateways.portkey_document import Document, Json, Where
from drills.gateways.portkey_domains import AZURE, BEDROCK, VERTEX
from drills.gateways.portkey_legs import Found
from drills.gateways.scrub import DUMMY, scrub

NOWHERE = "http://127.0.0.1:1"
"""The host of targets that are never asked."""

_HOOKS = dict.fromkeys(
    (
        *("input_guardrails", "output_guardrails", "before_request_hooks", "after_request_hooks"),
        *("input_mutators", "output_mutators", "default_input_guardrails", "default_output_guardrails"),
    ),
    "it would judge the drill's own texts, or ask another service to",
)
LEFT_OUT = _HOOKS | {"cache": "a cache would answer instead of the legs"}

_SIGN_IN: dict[str, tuple[str, ...]] = {
    AZURE: (
        *("azure_ad_token", "azure_auth_mode", "azure_entra_tenant_id", "azure_entra_client_id"),
        *("azure_entra_client_secret", "azure_entra_scope", "azure_managed_client_id", "azure_workload_client_id"),
    ),
    BEDROCK: ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_role_arn", "aws_external_id"),
    VERTEX: ("vertex_service_account_json",),
}
_REPLACED = {
    "azure_auth_mode": "signing in at Entra ID is replaced by a dummy key",
    "aws_role_arn": "signing in at AWS (role) is replaced by dummy keys",
    "vertex_service_account_json": "signing in at Google is replaced by a dummy token",
}
_WITH_API_KEY = "apiKey"


@dataclass(frozen=True)
class PrivateCopy:
    """What to send. config: the JSON, on one line. left_out: one sentence for each part that is not in it."""

    config: str
    left_out: tuple[str, ...]


def build(found: Found, urls: Mapping[str, str]) -> PrivateCopy:
    """The private copy of a config. urls: leg name -> scheme, host and port."""
    document = found.config.document
    tree = document.values()
    left_out = list(_strip(document, tree, ()))
    scrub(tree)
    by_place = {target.where: (leg, known) for leg, target, known in found.legs}
    for target in found.config.root.leaves():
        given = _at(tree, target.where)
        leg, known = by_place.get(target.where, (None, None))
        given["custom_host"] = NOWHERE if leg is None or known is None else urls[leg.name] + known.tail(DUMMY)
        left_out += [
            f"{document.key_place((*target.where, key))}: {why}" for key, why in _sign_in(given, target.provider)
        ]
    return PrivateCopy(json.dumps(tree, separators=(",", ":")), tuple(left_out))


def as_it_is(document: Document) -> str:
    """The user's config on one line: a header has no line ends."""
    return json.dumps(document.values(), separators=(",", ":"))


def secrets_of(value: object, key: str = "") -> Iterator[str]:
    """Every literal credential of a config."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from secrets_of(below, str(name))
    elif isinstance(value, list):
        for below in value:
            yield from secrets_of(below, key)
    elif isinstance(value, str) and value and scrub(value, key) is not value:
        yield value


def _strip(document: Document, given: Json, where: Where) -> Iterator[str]:
    """Take out, in place, what a drill does not run; and the hosts of strategies, which their targets would inherit."""
    for key, why in LEFT_OUT.items():
        if given.pop(key, None) not in (None, [], {}):
            yield f"{document.key_place((*where, key))}: {key} is left out: {why}"
    given.pop("custom_host", None)
    below = given.get("targets")
    for index, target in enumerate(below if isinstance(below, list) else ()):
        yield from _strip(document, target, (*where, "targets", index))


def _sign_in(given: Json, provider: str) -> Iterator[tuple[str, str]]:
    """Dummies for what a target signs in with, in place; key and sentence of what a drill does not cover."""
    account = given.get("vertex_service_account_json")
    if provider == VERTEX and isinstance(account, dict) and account.get("project_id"):
        given["vertex_project_id"] = account["project_id"]  # Portkey takes it from there, too
    gone = [key for key in _SIGN_IN.get(provider, ()) if given.pop(key, None) is not None]
    yield from ((key, _REPLACED[key]) for key in gone if key in _REPLACED)
    if provider == BEDROCK and given.get("aws_auth_type") != _WITH_API_KEY:
        given.pop("aws_auth_type", None)
        given |= {"aws_access_key_id": DUMMY, "aws_secret_access_key": DUMMY}
    else:
        given["api_key"] = DUMMY
    if provider == VERTEX:
        given.setdefault("vertex_project_id", "drill")


def _at(tree: Json, where: Where) -> Json:
    found: object = tree
    for step in where:
        found = cast(Json, found)[cast(str, step)]
    return cast(Json, found)
