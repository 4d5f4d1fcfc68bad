"""Faults of identity services: which legs they hit, what proves them, whom they touch, what clients make of them."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from calibration.story import history
from drilling import drill
from plane_harness import Bench, bench, measured
from sdk_env import sdk_python
from test_proofs import plan as fault_plan
from test_proofs import proofs as proofs_of
from test_scenario import timeline
from test_sdks import ask

from drills import plan, providers
from drills.events import AttemptDone, AttemptReceived, AttemptResult, Probe, Via, When
from drills.gateways.base import Discovery
from drills.gateways.litellm import LiteLLM
from drills.legs import Leg
from drills.marks import Mark, find_mark
from drills.problems import UsageProblem
from drills.providers.base import Surface
from drills.result import Result, Verdict
from drills.routing import unchanged
from drills.routing.base import Planned
from drills.targets import notes, resolve
from drills.verdict import judge
from faults.base import Answer, RequestSeen, kinds
from faults.identity_down import IdentityDown
from faults.identity_slow import IdentitySlow
from faults.planes.board import Board
from faults.shapes import Shape

pytestmark = pytest.mark.clock

__all__ = ["sdk_python"]

# --- the dialects ----------------------------------------------------------------------------------------------------


def test_who_has_a_token_endpoint() -> None:
    """Vertex alone: the sign-ins of Azure and AWS are at hosts of their own, which no leg stands in for."""
    assert [name for name in providers.names() if providers.has_identity(name)] == ["vertex"]
    with pytest.raises(KeyError, match="azure has no token endpoint"):
        providers.identity("azure")


def test_only_who_has_one_recognises_a_request_for_a_token() -> None:
    """No dialect takes a probe for a token for one but those that can answer it."""
    for name in providers.names():
        request = providers.identity("vertex").identity_probe("x")
        call = providers.get(name).recognise(request.method, request.path, request.headers, request.body)
        assert (call.surface is Surface.IDENTITY) == providers.has_identity(name)


@pytest.mark.parametrize("name", [name for name in providers.names() if providers.has_identity(name)])
def test_a_probe_for_a_token_carries_its_mark(name: str) -> None:
    """It is recognised with its text, answered with a token of the lifetime that was asked for, and read."""
    service, mark = providers.identity(name), Mark("0123456789abcdef")
    request = service.identity_probe(mark.prompt())
    call = providers.get(name).recognise(request.method, request.path, request.headers, request.body)
    assert (call.surface, find_mark(call.text)) == (Surface.IDENTITY, mark)
    answer = service.token(7)
    assert json.loads(answer.body)["expires_in"] == 7
    assert service.read_token(answer.body)
    for body in (b"", b"{}", b"[]", b'{"access_token": 3}', providers.get(name).status(503, call, "rid").body):
        with pytest.raises(ValueError, match="no access token"):
            service.read_token(body)


@pytest.mark.parametrize("body", [b"\xff\xfe=&&&=;", b"assertion=%ff%00", b"a" * 100_000, b"%", b"assertion"])
def test_hostile_forms_are_read(body: bytes) -> None:
    """Whatever the body: a request for a token, without a mark."""
    call = providers.get("vertex").recognise("POST", "/token", (), body)
    assert call.surface is Surface.IDENTITY
    assert find_mark(call.text) is None


# --- which legs it hits ----------------------------------------------------------------------------------------------

LEGS = [
    Leg(name=name, role=role, provider=provider, vendor="v", model="m", cloud=cloud)
    for name, role, provider, cloud in (
        ("gem", "primary", "gemini", "gcp"),
        ("ver-a", "primary", "vertex", "gcp"),
        ("ver-b", "secondary", "vertex", "gcp"),
        ("az", "tertiary", "azure", "azure"),
    )
]

HITS: list[tuple[str, list[str], list[str]]] = [
    # The one leg that was meant; another with tokens from the same service is named.
    (
        "leg: ver-a",
        ["ver-a"],
        [
            (
                "outage-identity_down spares ver-b, though in earnest their tokens come from the same service as those "
                "of ver-a; select by cloud to hit all of them"
            )
        ],
    ),
    # All that share the service.
    ("provider: vertex", ["ver-a", "ver-b"], []),
    # The leg without tokens is left out.
    (
        "cloud: gcp",
        ["ver-a", "ver-b"],
        ["outage-identity_down hits ver-a, ver-b and spares gem: a drill has no token endpoint for it"],
    ),
]


@pytest.mark.parametrize(("selector", "hit", "said"), HITS)
def test_it_hits_the_legs_that_have_a_token_endpoint(selector: str, hit: list[str], said: list[str]) -> None:
    """Of those that are selected; what is spared is said."""
    scenario = timeline(f"  - {{phase: outage, for: 5s, faults: [identity_down: {{{selector}}}]}}\n")
    targets = resolve(scenario, LEGS)
    assert [leg.name for leg in targets[0][1]] == hit
    assert list(notes(targets, LEGS)) == said


MISSES: list[tuple[Sequence[Leg], str]] = [
    (LEGS, "legs with one: ver-a, ver-b"),
    (LEGS[3:], "no leg has one; the dialects that do: vertex"),
]


@pytest.mark.parametrize(("legs", "instead"), MISSES)
def test_a_leg_without_tokens_cannot_be_hit(legs: Sequence[Leg], instead: str) -> None:
    """A usage error, before anything is started, with the place of the fault and what could be hit."""
    scenario = timeline("  - {phase: outage, for: 5s, faults: [identity_down: {role: tertiary}]}\n")
    with pytest.raises(UsageProblem) as caught:
        resolve(scenario, legs)
    what = "fault 'identity_down' on role: tertiary hits only legs without a token endpoint: az (azure)"
    assert str(caught.value) == f"a.yaml:6:39: {what}; {instead}"


@pytest.mark.parametrize(
    ("lifetime", "noted"),
    [("", True), ("providers: {token_lifetime: 5s}\n", True), ("providers: {token_lifetime: 4s}\n", False)],
)
def test_a_token_that_outlives_its_fault_is_noted(lifetime: str, noted: bool) -> None:
    """By default it does: an hour."""
    entry = "  - {phase: outage, for: 5s, faults: [identity_slow: {provider: vertex, by: 1s}]}\n"
    scenario = timeline(f"{entry}{lifetime}")
    found = plan.make(scenario, LEGS, 1, "n").warnings
    assert any("outage-identity_slow lasts 5 s and a token" in warning for warning in found) is noted


def test_a_service_that_legs_share_cannot_fail_for_one_of_them() -> None:
    """Where the gateway asks the real host for tokens, all legs that it asks for are hit, or the plan says no."""
    hosts = {"ver-a": "us-central1-aiplatform.googleapis.com", "ver-b": "europe-west4-aiplatform.googleapis.com"}
    legs = [
        msgspec.structs.replace(leg, hosts=(hosts[leg.name], "oauth2.googleapis.com"))
        if leg.name in hosts
        else msgspec.structs.replace(leg, hosts=(f"{leg.name}.example",))
        for leg in LEGS
    ]
    found = Discovery(legs=tuple(legs), entry_model="m", config_file="", config_sha256="")

    def objections(selector: str) -> list[str]:
        scenario = timeline(f"  - {{phase: outage, for: 5s, faults: [identity_down: {{{selector}}}]}}\n")
        planned = Planned(gateway=LiteLLM(), found=found, targets=resolve(scenario, legs))
        return [str(problem) for problem in unchanged.problems(planned)]

    assert objections("cloud: gcp") == []
    [objection] = objections("leg: ver-b")
    assert objection == (
        "a.yaml:6:39: fault 'identity_down' concerns the whole host oauth2.googleapis.com:443, which ver-a, ver-b "
        "share; select all of them, or use --route rewrite"
    )


# --- whom it meets ---------------------------------------------------------------------------------------------------

MODEL = RequestSeen(leg="a", surface="model", operation="generateContent", model="m", stream=False, index=0)
TOKEN = msgspec.structs.replace(MODEL, surface="identity", operation="token")


def test_tokens_and_models_meet_faults_of_their_own() -> None:
    """A leg whose models fail still gives tokens, and one without tokens still has models."""
    board = Board(1)
    board.put_on("m", "status", {"code": 500}, ("a",))
    board.put_on("i", "identity_down", {}, ("a",))
    assert [step.decision for step in board.decide(MODEL)] == [Answer(500)]
    assert [step.decision for step in board.decide(TOKEN)] == [Answer(503)]


def test_shapes_count_what_their_fault_meets() -> None:
    """The first token and the first two requests for models, however they are mixed."""
    board = Board(1)
    board.put_on("i", "identity_down", {}, ("a",), Shape(first=1))
    board.put_on("m", "status", {"code": 500}, ("a",), Shape(first=2))
    asked = (MODEL, TOKEN, MODEL, TOKEN, MODEL)
    assert [len(board.decide(seen)) for seen in asked] == [1, 1, 1, 0, 0]


# --- the proof, on the real plane ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def legs() -> Iterator[Bench]:
    """One leg with tokens behind a plane."""
    with bench({"v": "vertex"}) as found:
        yield found
        assert found.plane.troubles == []


@pytest.mark.parametrize(
    "fault",
    [IdentityDown(), IdentityDown(how="invalid_grant"), IdentitySlow(by=0.3), IdentitySlow(by=9.0)],
    ids=repr,
)
def test_it_proves_itself_by_a_request_for_a_token(legs: Bench, fault: IdentityDown | IdentitySlow) -> None:
    """Well before, met while it is on, well again; the probes are requests for tokens and are known by their ids."""
    name = legs.plane.apply(fault.kind, ["v"], **dataclasses.asdict(fault))
    before = len(legs.plane.events)
    found = proofs_of(legs, [(name, fault_plan(fault, ["v"]))])
    assert [(p.when, p.proved) for p in found] == [(when, True) for when in (When.BEFORE, When.DURING, When.AFTER)]
    seen = [event for event in legs.plane.events[before:] if isinstance(event, AttemptReceived)]
    assert {event.surface for event in seen} == {"identity"}
    assert {event.id for event in seen} == {p.id for p in found if p.when is not When.BEFORE}


def test_a_model_that_is_well_proves_nothing(legs: Bench) -> None:
    """The fault is not on: the token comes as always."""
    found = proofs_of(legs, [("", fault_plan(IdentityDown(), ["v"]))], clear=False)
    assert [p.proved for p in found if p.when is When.DURING] == [False, False]


def test_a_shape_never_spares_the_probe() -> None:
    """Also where it spares every request of the gateway."""
    board = Board(1, "0123456789")
    board.put_on("i", "identity_down", {}, ("a",), Shape(share=1e-9))
    assert board.decide(TOKEN) == ()
    [step] = board.decide(msgspec.structs.replace(TOKEN, key="0123456789abcdef"))
    assert step.decision == Answer(503)


# --- whom it touched -------------------------------------------------------------------------------------------------


def token(number: int, at_s: float, took_s: float = 0.01, *, met: bool = True) -> tuple[Any, Any]:
    """A request of the gateway for a token of the primary."""
    seen = AttemptReceived(
        attempt=900 + number,
        leg="primary",
        id="",
        surface="identity",
        operation="token",
        model="",
        stream=False,
        received_s=at_s,
    )
    done = AttemptDone(
        attempt=900 + number,
        answered_s=None,
        done_s=at_s + took_s,
        status=503 if met else 200,
        result=AttemptResult.FAULTED if met else AttemptResult.ANSWERED,
        faults=("f1",) if met else (),
    )
    return seen, done


def judged(text: str, tokens: Sequence[tuple[Any, Any]], late: Sequence[int] = ()) -> Result:
    """The result of a story whose fault is at the primary's identity service. late: attempts that came 0.5 s late."""
    head, *rest = history(text, also=[event for pair in tokens for event in pair])
    plans = tuple(msgspec.structs.replace(fault, kind="identity_down", of_identity=True) for fault in head.faults)
    moved = [
        msgspec.structs.replace(event, received_s=event.received_s + 0.5)
        if isinstance(event, AttemptReceived) and event.id in {f"{seq:016x}" for seq in late}
        else event
        for event in rest
    ]
    return judge((msgspec.structs.replace(head, faults=plans), *moved), "story")


TOUCHED: list[tuple[str, list[tuple[Any, Any]], tuple[int, ...], int, int]] = [
    # No token was asked for: nobody met anything.
    ("ppp[ppp]ppp", [], (), 0, 0),
    # One was asked for in the background and not given, and every caller was served with the old one.
    ("ppp[ppp]ppp", [token(1, 1.26)], (), 0, 1),
    # The old one ran out at 1.45: one caller was turned away, three were answered by the standby.
    ("ppp[pprsss]spp", [token(1, 1.26), token(2, 1.46)], (), 4, 2),
    # A token that was given was no victim of the fault; one request, at 1.4, was turned away for want of another.
    ("ppp[prp]ppp", [token(1, 1.26, met=False), token(2, 1.41)], (), 1, 1),
    # Two callers waited half a second for a token that was refused meanwhile, and reached the primary then.
    ("ppp[ppp]ppp", [token(1, 1.31), token(2, 1.41)], (3, 4), 2, 2),
    # Late for another reason: no request for a token met the fault then.
    ("ppp[ppp]ppp", [token(1, 1.26)], (5,), 0, 1),
]


@pytest.mark.parametrize(("story", "tokens", "late", "touched", "asked"), TOUCHED)
def test_whom_it_touched(
    story: str, tokens: list[tuple[Any, Any]], late: tuple[int, ...], touched: int, asked: int
) -> None:
    """Callers whose request reached nothing of the leg, or late, for want of a token; nobody else."""
    result = judged(story, tokens, late)
    [fault] = result.faults
    assert (fault.touched_requests, fault.touched_tokens) == (touched, asked)
    [part] = [part for part in result.checks if part.name == "faults reached requests"]
    assert part.observed.startswith(f"f1: {touched} requests ({asked} requests for tokens met it)")
    assert part.verdict is (Verdict.PASS if touched else Verdict.INVALID)
    assert ("providers.token_lifetime" in part.advice) is (touched == 0)


def test_numbers_of_a_switchover_for_want_of_a_token() -> None:
    """Turned away at 1.5 and answered by the standby from 1.6 on: first failure, exposure, avoidance, recovery."""
    [found] = judged("ppp[pprsss]spp", [token(1, 1.46)]).switchovers
    assert (found.from_, found.to) == ("primary", "standby")
    assert found.first_failure_s == pytest.approx(1.52)
    assert found.exposure_s == pytest.approx(0.21)
    assert found.recovery_s == pytest.approx(0.41)


def test_probes_of_identity_services_are_no_traffic() -> None:
    """Neither the gateway's nor callers'; and the plane's own latency is that of models."""
    mark = "f" * 16
    seen, done = token(1, 0.2, met=False)
    ways = ((Via.DIRECT, 0.001), (Via.PLANE, 9.0))
    also: list[Any] = [msgspec.structs.replace(seen, id=mark), done]
    also += [
        Probe(id=mark, leg="primary", via=via, stream=False, sent_s=0.2, first_token_s=None, done_s=0.2 + took_s,
              error="", identity=True)
        for via, took_s in ways
    ]  # fmt: skip
    result = judge(history("ppp[xxsss]spp", also=also), "story")
    plain = judge(history("ppp[xxsss]spp"), "story")
    assert result.attempts == msgspec.structs.replace(plain.attempts, probes=plain.attempts.probes + 1)
    assert result.plane == plain.plane


# --- what clients make of it -----------------------------------------------------------------------------------------

REFRESH = "google.auth.exceptions.RefreshError"
CLIENTS: list[tuple[str, str, int]] = [
    # google-auth asks three times, a second and then two apart, and gives up.
    ("unavailable", REFRESH, 3),
    # Refused credentials are not asked about again.
    ("invalid_grant", REFRESH, 1),
]


def tokens_asked(plane: Any) -> int:  # noqa: ANN401  a running plane
    """How often a token was asked for so far."""
    return len(plane.all(AttemptReceived, lambda event: event.surface == "identity"))


@pytest.mark.sdk
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("how", "exception", "times"), CLIENTS, ids=[how for how, _, _ in CLIENTS])
def test_the_sdk_without_a_token(legs: Bench, sdk_python: Path, how: str, exception: str, times: int) -> None:
    """Google's SDK with a service account raises before it asks the model; the model sees nothing."""
    models = len(legs.plane.all(AttemptReceived, lambda event: event.surface == "model"))
    with legs.plane.fault("identity_down", "v", how=how):
        before = tokens_asked(legs.plane)
        url = f"http://127.0.0.1:{legs.plane.ports['v']}"
        [answer] = ask(sdk_python, "google_calls", [{"client": "vertex", "url": url, "stream": False}])
        assert answer["exception"] == exception
        assert tokens_asked(legs.plane) - before == times
    assert len(legs.plane.all(AttemptReceived, lambda event: event.surface == "model")) == models


@pytest.mark.sdk
@pytest.mark.timeout(900)
def test_the_sdk_with_a_token(legs: Bench, sdk_python: Path) -> None:
    """An hour's token carries a client through the fault; one below google-auth's 225 s is asked for each time."""
    with ExitStack() as stack:
        short = stack.enter_context(bench({"v": "vertex"}, token_lifetime_s=200))
        planes = (legs.plane, short.plane)
        before = [len(plane.all(AttemptReceived, lambda event: event.surface == "model")) for plane in planes]

        def strike(number: int) -> None:
            plane = planes[number]
            plane.wait_for(
                AttemptReceived,
                lambda _: len(plane.all(AttemptReceived, lambda event: event.surface == "model")) > before[number],
                60,
            )
            stack.enter_context(plane.fault("identity_down", "v", how="invalid_grant"))

        threads = [threading.Thread(target=strike, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        calls = [
            {"client": "twice", "url": f"http://127.0.0.1:{plane.ports['v']}", "stream": False} for plane in planes
        ]
        whole, refused = ask(sdk_python, "identity_calls", calls)
        for thread in threads:
            thread.join()
    assert whole["stop"] == "STOP"
    assert refused["exception"] == REFRESH


# --- the whole tool, with a real LiteLLM -----------------------------------------------------------------------------

CONFIG = """
model_list:
  - model_name: chat
    litellm_params: {model: vertex_ai/gemini-2.5-pro, vertex_project: p, vertex_location: us-central1, timeout: 5}
  - model_name: standby
    litellm_params: {model: azure/gpt-4o, api_base: "https://r.openai.azure.com", api_key: x, timeout: 5}
router_settings: {num_retries: 0, fallbacks: [{chat: [standby]}], allowed_fails: 1, cooldown_time: 4}
"""
SCENARIO = """
name: No tokens
objective: Callers keep getting answers while the first choice cannot be signed in to.
load: {rate: 10/s, deadline: 20s, slow: 4s}
providers: {token_lifetime: LIFETIME}
timeline:
  - {phase: steady, for: 2s}
  - {phase: outage, for: OUTAGE, faults: [identity_down: {role: primary, how: invalid_grant}]}
  - {phase: recovery, for: 2s}
expect:
  switchover: {within: OUTAGE}
"""


def ran(folder: Path, lifetime: str, outage: str) -> Result:
    """The result of a drill of LiteLLM."""
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "tokens.yaml").write_text(SCENARIO.replace("LIFETIME", lifetime).replace("OUTAGE", outage))
    found = drill("run", "tokens.yaml", "--config", "config.yaml", cwd=folder)
    assert found.code in {0, 1, 3}, found.out + found.err
    return found.result


@pytest.mark.gateway
@pytest.mark.timeout(600)
def test_litellm_without_tokens(tmp_path: Path) -> None:
    """Its token of 2 s runs out, and its callers are answered by the standby though no model ever failed."""
    result = ran(tmp_path, "2s", "7s")
    [fault], [found] = result.faults, result.switchovers
    verdicts = {part.name: part.verdict for part in result.checks}
    assert verdicts["fault proof"] is verdicts["faults reached requests"] is Verdict.PASS
    assert fault.touched_requests > 20
    assert fault.touched_tokens > 0
    assert (found.from_, found.to) == ("vertex-us-central1-gemini-2-5-pro", "azure-gpt-4o")
    assert found.switchover_s is not None
    assert 0 < found.switchover_s < 6
    assert result.attempts.unexplained == 0
    measured(f"LiteLLM without tokens: first answer of the standby after {found.switchover_s:.2f} s")


@pytest.mark.gateway
@pytest.mark.timeout(600)
def test_litellm_with_a_token_in_its_pocket(tmp_path: Path) -> None:
    """A token of an hour outlives the fault: LiteLLM asks for none, and the drill says that it proved nothing."""
    result = ran(tmp_path, "1h", "3s")
    [fault] = result.faults
    verdicts = {part.name: part for part in result.checks}
    assert verdicts["fault proof"].verdict is Verdict.PASS
    assert (fault.touched_requests, fault.touched_tokens) == (0, 0)
    assert verdicts["faults reached requests"].verdict is Verdict.INVALID
    assert "providers.token_lifetime" in verdicts["faults reached requests"].advice
    assert result.verdict is Verdict.INVALID
    assert any("outage-identity_down lasts 3 s and a token 3600 s" in note for note in result.notes)


def test_every_fault_of_identity_says_so() -> None:
    """The two that there are."""
    assert {kind for kind, cls in kinds().items() if cls.of_identity} == {"identity_down", "identity_slow"}
