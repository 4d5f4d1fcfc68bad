"""Hosts that several legs share, on the real plane: requests are told apart by model, connections are everybody's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import httpx
import pytest
from plane_harness import SETTLE_S, Bench, PlaneProcess, bench, host_of, mark, undisturbed, until

from drills import providers
from drills.authority import Authority
from drills.events import AttemptResult, ConnectHung, HandshakeMet
from drills.marks import Mark, Shape, read_answer
from faults.planes.control import PlaneLeg
from faults.planes.places import Asked, told_apart

pytestmark = [pytest.mark.clock, pytest.mark.skipif(sys.platform != "linux", reason="blackhole needs Linux")]

API, TOKENS = "api:443", "tokens:443"
DIALECTS = {"gpt": "openai", "mini": "openai", "belgium": "vertex", "iowa": "vertex"}


def leg(name: str, dialect: str, model: str) -> PlaneLeg:
    """A leg that stands nowhere."""
    return PlaneLeg(name=name, provider=dialect, upstream_scheme="http", upstream_host="", upstream_port=1, model=model)


LEGS = (leg("a", "openai", "gpt-4o"), leg("b", "openai", "gpt-4o-mini"), leg("c", "anthropic", "claude-sonnet-5"))
TOLD = [
    # dialect, path if it is not the model's own, model; whose it is, and whether that is sure
    ("openai", None, "gpt-4o", "a", True),
    ("openai", None, "gpt-4o-mini", "b", True),
    ("anthropic", None, "claude-sonnet-5", "c", True),
    # Nobody's: the first one's, and not surely.
    ("openai", None, "o3", "a", False),
    # Not about a model: the first one's.
    ("openai", "/v1/models", "", "a", True),
    ("openai", "/nowhere", "", "a", True),
]


@pytest.mark.parametrize(("dialect", "path", "model", "whose", "sure"), TOLD)
def test_whose_request_it_is(dialect: str, path: str | None, model: str, whose: str, sure: bool) -> None:
    """By the model that it names, in the dialect of the leg that has it."""
    probe = providers.get(dialect).probe(model or "x", mark().prompt(), stream=False)
    asked = Asked("GET" if path else probe.method, path or probe.path, probe.headers, b"" if path else probe.body)
    dialects = {one.name: providers.get(one.provider) for one in LEGS}
    found, call, certain = told_apart(LEGS, dialects, asked)
    assert (found.name, certain) == (whose, sure)
    assert call.model == model
    assert told_apart(LEGS[1:2], dialects, asked)[0].name == "b"  # a leg with a place to itself has all that comes


@pytest.fixture(scope="module")
def rig() -> Iterator[Bench]:
    """Two models at one host, and two regions with one identity service."""
    shared = {API: ("gpt", "mini"), TOKENS: ("belgium", "iowa")}
    with bench(DIALECTS, authority=Authority(), shared=shared) as found:
        yield found
        assert found.plane.troubles == []


@pytest.fixture
def plane(rig: Bench) -> Iterator[PlaneProcess]:
    """The plane, with no fault on before the test and none after it."""
    with undisturbed(rig) as found:
        yield found


To = Callable[..., "Client"]


@pytest.fixture
def to(rig: Bench) -> Iterator[To]:
    """Makes clients of a shared host, and closes them after the test."""
    made: list[Client] = []

    def client(host: str, timeout_s: float = SETTLE_S) -> Client:
        made.append(Client(rig, host, timeout_s))
        return made[-1]

    yield client
    for one in made:
        one.http.close()


class Client:
    """Someone who asks a shared host for models by their names."""

    def __init__(self, rig: Bench, host: str, timeout_s: float = SETTLE_S) -> None:
        self._named = {"sni_hostname": host_of(host)}
        url = f"https://127.0.0.1:{rig.plane.ports[host]}"
        self.http = httpx.Client(base_url=url, verify=rig.trust(), timeout=timeout_s, trust_env=False)

    def ask(self, model: str, asked: Mark, *, stream: bool = False) -> httpx.Response:
        """One request."""
        probe = providers.get("openai").probe(model, asked.prompt(), stream)
        headers = dict(probe.headers)
        return self.http.send(
            self.http.build_request("POST", probe.path, headers=headers, content=probe.body, extensions=self._named)
        )

    def served_by(self, model: str, *, stream: bool = False) -> tuple[str, ...]:
        """One request that is answered whole; by whom."""
        asked = mark()
        response = self.ask(model, asked, stream=stream)
        assert response.status_code == 200, response.text
        reading = read_answer(providers.get("openai").read(stream, response.content), asked)
        assert reading.shape is Shape.WHOLE
        return reading.legs

    def token(self) -> int:
        """A request for a token; the status."""
        request = providers.identity("vertex").identity_probe(mark().prompt())
        headers = dict(request.headers)
        return self.http.send(
            self.http.build_request("POST", request.path, headers=headers, content=request.body, extensions=self._named)
        ).status_code


def test_each_model_is_served_by_its_own_leg(to: To, plane: PlaneProcess) -> None:
    """In turn on one connection, whole and streamed; the plane says the same."""
    client = to(API)
    for model in ("gpt", "mini", "mini", "gpt"):
        for stream in (False, True):
            assert client.served_by(model, stream=stream) == (model,)
    asked = mark()
    client.ask("mini", asked)
    assert plane.attempt(asked.id)[0].leg == "mini"


def test_a_fault_of_requests_hits_the_requests_of_its_leg(to: To, plane: PlaneProcess) -> None:
    """The other model of the host is as well as ever."""
    client = to(API)
    with plane.fault("status", "mini", code=503) as fault:
        asked = mark()
        assert client.ask("mini", asked).status_code == 503
        assert plane.attempt(asked.id)[1].faults == (fault,)
        assert client.served_by("gpt") == ("gpt",)
    assert client.served_by("mini") == ("mini",)


def test_a_fault_of_connections_on_all_its_legs_is_the_hosts(to: To, plane: PlaneProcess) -> None:
    """Refused and cut, then silent: as the legs' own ports are."""
    client = to(API, 0.4)
    assert client.served_by("gpt") == ("gpt",)
    with plane.fault("refuse", "gpt", "mini") as fault:
        assert plane.effective(fault).cut == 1
        with pytest.raises(httpx.ConnectError):
            client.ask("mini", mark())
    assert client.served_by("mini") == ("mini",)
    with plane.fault("blackhole", "gpt", "mini") as fault:
        with pytest.raises(httpx.ReadTimeout):
            client.ask("gpt", mark())
        with pytest.raises(httpx.ConnectTimeout):
            client.ask("gpt", mark())
        until(lambda: plane.all(ConnectHung))
        hung = plane.all(ConnectHung)[-1]
        assert (hung.leg, hung.beside, hung.faults) == ("gpt", ("mini",), (fault,))
    assert client.served_by("gpt") == ("gpt",)


def test_a_stream_under_way_at_a_shared_host_is_cut(to: To, plane: PlaneProcess) -> None:
    """The attempt is its leg's, and so is the fault."""
    asked = mark(400)
    client = to(API)
    probe = providers.get("openai").probe("mini", asked.prompt(), stream=True)
    request = client.http.build_request(
        "POST",
        probe.path,
        headers=dict(probe.headers),
        content=probe.body,
        extensions={"sni_hostname": host_of(API)},
    )
    response = client.http.send(request, stream=True)
    parts = response.iter_raw()
    next(parts)
    with plane.fault("refuse", "gpt", "mini") as fault, pytest.raises(httpx.HTTPError):
        list(parts)
    received, done = plane.attempt(asked.id)
    assert (received.leg, done.result, done.faults) == ("mini", AttemptResult.FAULTED, (fault,))


def test_handshakes_of_a_shared_host(to: To, plane: PlaneProcess) -> None:
    """A bad certificate on both legs is the host's; on one of them it is not."""
    client = to(API)
    with plane.fault("tls_bad_certificate", "gpt", "mini") as fault:
        with pytest.raises(httpx.ConnectError, match="expired"):
            client.ask("gpt", mark())
        met = plane.wait_for(HandshakeMet, lambda event: fault in event.faults)
        assert (met.leg, met.beside, met.faults) == ("gpt", ("mini",), (fault,))
    with plane.fault("tls_bad_certificate", "mini"):
        assert client.served_by("gpt") == ("gpt",)


def test_the_loss_of_one_region_is_no_loss_of_tokens(rig: Bench, to: To, plane: PlaneProcess) -> None:
    """The identity service is down only when all that share it are; a fault of its own on all of them is its own."""
    client = to(TOKENS, 0.4)
    with plane.fault("blackhole", "belgium"):
        assert client.token() == 200
        with rig.caller("belgium", timeout_s=0.3) as caller, pytest.raises(httpx.ConnectTimeout):
            caller.ask(mark())
    with plane.fault("identity_down", "belgium", "iowa"):
        assert client.token() == 503
        with rig.caller("iowa") as caller:
            assert caller.reading(mark()).shape is Shape.WHOLE
    with plane.fault("blackhole", "belgium", "iowa"), pytest.raises(httpx.TimeoutException):
        client.token()
    assert to(TOKENS).token() == 200


def test_a_model_that_is_no_legs_is_said() -> None:
    """It is answered, by the first leg, and the drill proves nothing."""
    with bench({"gpt": "openai", "mini": "openai"}, authority=Authority(), shared={API: ("gpt", "mini")}) as rig:
        client = Client(rig, API)
        asked = mark()
        assert client.ask("o3", asked).status_code == 200
        assert rig.plane.attempt(asked.id)[0].leg == "gpt"
        assert rig.plane.troubles == [f"a request to {API} names a model that is no leg's: o3"]
