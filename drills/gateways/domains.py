"""Fault domains: who made a model, who runs its endpoint, and where. What every gateway adapter needs. Pure.

An adapter knows how its gateway writes providers and models; from there on the questions are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit, urlunsplit

from drills.legs import Leg, role_name

_VENDORS = (
    ("anthropic", r"claude"),
    ("openai", r"\bgpt|\bo[1345]\b|chatgpt|davinci|text-embedding|dall-e|whisper"),
    ("google", r"gemini|gemma|palm|bison"),
    ("meta", r"llama"),
    ("mistral", r"mistral|mixtral|ministral|codestral|pixtral|magistral|devstral"),
    ("amazon", r"\bnova|titan"),
    ("cohere", r"command|cohere"),
    ("deepseek", r"deepseek"),
    ("alibaba", r"qwen|qwq"),
    ("xai", r"grok"),
    ("ai21", r"jamba|ai21"),
    ("microsoft", r"\bphi-"),
    ("moonshot", r"kimi"),
    ("zai", r"\bglm-"),
    ("nvidia", r"nemotron"),
)
"""Who made a model, by what its name contains; the first match counts."""

_CLOUD_HOSTS = (
    ("aws", r"\.amazonaws\.com(?:\.cn)?$|\.api\.aws$"),
    ("azure", r"\.azure\.(?:com|us|cn)$|\.microsoft\.com$"),
    ("gcp", r"\.googleapis\.com$|\.goog$"),
    ("openai", r"(?:^|\.)openai\.com$"),
    ("anthropic", r"(?:^|\.)anthropic\.com$"),
    ("xai", r"(?:^|\.)x\.ai$"),
)

_REGION_HOSTS = (
    re.compile(r"(?:^|\.)bedrock-runtime(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:vpce\.)?(?:amazonaws\.com|api\.aws)"),
    re.compile(r"^(?P<region>[a-z]+-[a-z]+\d+)-aiplatform\.googleapis\.com$"),
    re.compile(r"^aiplatform\.(?P<region>eu|us)\.rep\.googleapis\.com$"),
    re.compile(r"^(?P<region>[a-z0-9]+)\.api\.cognitive\.microsoft\.com$"),
    re.compile(r"\.(?P<region>[a-z0-9]+)\.(?:models|inference(?:\.ml)?)\.(?:ai\.)?azure\.com$"),
    re.compile(r"^(?P<region>us|eu)\.api\.openai\.com$"),
)

_CLOUD_OF_DIALECT = {"bedrock": "aws", "azure": "azure", "gemini": "gcp", "vertex": "gcp"}
_LOCAL_HOST = re.compile(r"localhost$|127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|[^.]+$")


@dataclass(frozen=True)
class Domains:
    """What is known about one path to a model. `base` is the real base URL; `identity`: host names of the services
    that the gateway signs in with first.
    """

    provider: str
    dialect: str
    vendor: str
    model: str
    cloud: str
    region: str | None
    base: str
    identity: tuple[str, ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The real hosts that the gateway calls, as `Leg.hosts` has them; empty when they are not known."""
        model = host_of(self.base)
        netloc = _split(self.base).netloc.rpartition("@")[2]
        if netloc.count("[") != netloc.count("]"):
            return (netloc, *self.identity)  # no host, which is said where a leg is called by it
        model = f"[{model}]" if ":" in model else model  # an address of IPv6
        try:
            port = _split(self.base).port
        except ValueError:
            port = 0
        if port == 0:
            return (netloc, *self.identity)  # a port that does not exist: nobody can be called there
        port = port or {"http": 80}.get(_split(self.base).scheme, 443)
        named = () if not model else (model,) if port == 443 else (f"{model}:{port}",)
        return (*named, *self.identity)

    @property
    def path(self) -> str:
        """The path part of the base URL, without a trailing slash. A private copy keeps it."""
        return _split(self.base).path.rstrip("/")

    def tail(self, dummy: str) -> str:
        """What a private copy keeps of the base URL behind the host: the path, and the query with `dummy` for its
        values. A gateway that cannot work with a query must not be seen to work without it.
        """
        query = _split(self.base).query
        told = [
            f"{name}={value if name.lower() in _PLAIN_QUERY else dummy}"
            for name, _, value in (part.partition("=") for part in query.split("&"))
        ]
        return _split(self.base).path + ("?" + "&".join(told)) if query else self.path


_PLAIN_QUERY = {"api-version"}
"""Names in a query whose values are no secrets and shape the answer: Azure's."""


def vendor_of(model: str, otherwise: str) -> str:
    """Who made a model, from its name; `otherwise` when the name does not say."""
    return next((vendor for vendor, pattern in _VENDORS if re.search(pattern, model.lower())), otherwise)


def region_of_host(host: str) -> str | None:
    """The region in a cloud's host name; None where the host does not carry one (Azure resource names do not)."""
    return next((match["region"] for pattern in _REGION_HOSTS if (match := pattern.search(host))), None)


def slug(found: Domains) -> str:
    """A short name for people out of provider, region and model: `bedrock-us-east-1-claude-sonnet-4-5`."""
    model = found.model.rsplit("/", 1)[-1]
    model = re.sub(r"^(?:[a-z]{2,6}\.)?(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai)\.", "", model)
    model = re.sub(r"(?:[@-]20\d{6}|-20\d\d-\d\d-\d\d)(?=$|-v\d|:)|-v\d+:\d+$|:\d+$", "", model)
    model = re.sub(r"-v\d+(?::\d+)?$", "", model) if found.dialect == "bedrock" else model
    provider = {"vertex_ai": "vertex", "vertex_ai_beta": "vertex"}.get(found.provider, found.provider)
    parts = [provider, found.region or "", model.removeprefix(f"{provider}-") if found.region is None else model]
    return re.sub(r"[^a-z0-9]+", "-", "-".join(part for part in parts if part).lower()).strip("-")


def cloud_of(provider: str, dialect: str, base: str) -> str:
    """Who runs an endpoint: by its host, else by the dialect, else by the provider's name."""
    host = host_of(base)
    for cloud, pattern in _CLOUD_HOSTS:
        if re.search(pattern, host):
            return cloud
    if dialect in _CLOUD_OF_DIALECT:
        return _CLOUD_OF_DIALECT[dialect]
    if not host:
        return provider.replace("_", "-")
    if _LOCAL_HOST.match(host):
        return "local"
    return host.split(".")[-2]


def host_of(base: str) -> str:
    """The host name in a base URL, in lower case; empty when it has none."""
    return (_split(base).hostname or "").lower()


def _split(url: str) -> SplitResult:
    """The parts of a URL; also of one that Python refuses to read, whose host a route tells."""
    try:
        return urlsplit(url)
    except ValueError:
        scheme, _, rest = url.partition("://")
        netloc, slash, path = rest.partition("/")
        return SplitResult(scheme, netloc, slash + path, "", "")


def rebased(base: str, url: str) -> str:
    """A base URL at another scheme, host and port, which `url` names; its path and query stay."""
    there = _split(url)
    return urlunsplit(_split(base)._replace(scheme=there.scheme, netloc=there.netloc))


def without_secrets(url: str) -> str:
    """A URL for people: without user, password and query, which may be secret."""
    parts = _split(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def named(found: Iterable[tuple[Domains, int | None]]) -> Iterator[Leg]:
    """A leg for each of these, with a name of its own. The number is its level in the chain; None when no fallback
    leads to it.
    """
    taken: set[str] = set()
    for domains, level in found:
        stem = name = slug(domains) or "leg"
        number = 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        yield Leg(
            name=name,
            role=None if level is None else role_name(level),
            provider=domains.dialect,
            vendor=domains.vendor,
            model=domains.model,
            cloud=domains.cloud,
            region=domains.region,
            endpoint=without_secrets(domains.base),
            hosts=domains.hosts,
        )


def shown_chain(legs: Iterable[Leg]) -> str:
    """The chain for people: an arrow between levels, a plus between legs of one level."""
    levels: dict[str, list[str]] = {}
    for leg in legs:
        if leg.role is not None:
            levels.setdefault(leg.role, []).append(leg.name)
    return " -> ".join(" + ".join(names) for names in levels.values())
