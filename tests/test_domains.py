"""Fault domains that every adapter asks for."""

from __future__ import annotations

import pytest

from drills.gateways.domains import Domains, named, without_secrets


def found(base: str, *identity: str) -> Domains:
    """One path to GPT at a base URL."""
    return Domains("openai", "openai", "openai", "gpt-4o", "openai", None, base, identity)


@pytest.mark.parametrize(
    ("base", "hosts"),
    [
        ("https://api.openai.com/v1", ("api.openai.com",)),
        ("https://LLM.acme.io:8443/v1", ("llm.acme.io:8443",)),
        ("http://10.0.0.7/v1", ("10.0.0.7:80",)),  # 443 is what goes without saying
        ("https://llm.acme.io:99999", ("llm.acme.io:99999",)),  # which a route refuses
        ("https://llm.acme.io:0", ("llm.acme.io:0",)),
        ("", ()),
    ],
)
def test_hosts(base: str, hosts: tuple[str, ...]) -> None:
    """The host of the base URL, with a port that is not 443, then those of identity services."""
    assert found(base).hosts == hosts
    assert found(base, "sts.amazonaws.com").hosts == (*hosts, "sts.amazonaws.com")


def test_names_are_unique_and_urls_are_clean() -> None:
    """Two legs of one kind are told apart; what a URL hides from people stays hidden."""
    base = "https://me:secret@llm.acme.io/v1?key=secret"
    legs = list(named([(found(base), 0), (found(base), None)]))
    assert [(leg.name, leg.role) for leg in legs] == [("openai-gpt-4o", "primary"), ("openai-gpt-4o-2", None)]
    assert {leg.endpoint for leg in legs} == {"https://llm.acme.io/v1"} == {without_secrets(base)}
