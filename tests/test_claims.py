"""The cross-check: what the gateway says about who answered, beside who did; from the header to the finding."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from aiohttp import web
from calibration.story import history

from drills.checks.claims import CHECK
from drills.client import Callers
from drills.clock import Clock
from drills.events import AnyEvent, ArrivalDone
from drills.gateways.base import Launch
from drills.marks import Mark
from drills.result import CheckPart, Verdict
from drills.verdict import judge

Claim = Callable[[ArrivalDone], str]


def claiming(story: str, claim: Claim) -> tuple[AnyEvent, ...]:
    """The history of a story in which the gateway says of each answer what `claim` says."""
    return tuple(
        msgspec.structs.replace(event, claimed=claim(event)) if isinstance(event, ArrivalDone) else event
        for event in history(story)
    )


def finding(story: str, claim: Claim) -> CheckPart | None:
    """What the check says."""
    parts = [part for part in judge(claiming(story, claim), "story").checks if part.name == CHECK.name]
    return parts[0] if parts else None


def truth(done: ArrivalDone) -> str:
    """The leg that signed the answer."""
    return done.legs[0] if done.legs else "primary"


def test_the_truth_passes() -> None:
    """Six answers of eight requests; the two that failed are not asked for, whatever was said of them."""
    part = finding("ppp[xxs]pp", truth)
    assert part is not None
    assert part.verdict is Verdict.PASS
    assert part.observed == "0 of 6 answers that name a leg name another one than answered; 0 name none"
    assert part.evidence == ()


def test_a_gateway_that_always_names_its_first_choice_fails() -> None:
    """The drill fails with it, and the request that shows it is named."""
    events = claiming("ppp[xxs]pp", lambda _: "primary")
    result = judge(events, "story")
    part = next(part for part in result.checks if part.name == CHECK.name)
    assert part.verdict is Verdict.FAIL
    assert part.evidence == ("request 5: standby answered, the gateway says primary",)
    assert part.advice
    assert result.verdict is not Verdict.PASS


@pytest.mark.parametrize("word", ["Primary", "config.targets[7]", "primary, standby"])
def test_words_that_are_no_leg_are_a_disagreement(word: str) -> None:
    """What names no leg of the drill names another one than answered."""
    part = finding("ppp[xxs]pp", lambda _: word)
    assert part is not None
    assert part.verdict is Verdict.FAIL
    assert part.observed.startswith("6 of 6 ")


def test_many_disagreements_are_not_all_listed() -> None:
    """Ten, and how many more."""
    part = finding("ppppppp[xxs]ppppppp", lambda _: "third")
    assert part is not None
    assert len(part.evidence) == 11
    assert part.evidence[-1] == "and 5 more"


def test_answers_without_a_claim_are_counted_and_not_judged() -> None:
    """A header that is sometimes missing is no lie; one that is never there is no subject."""
    part = finding("ppp[xxs]pp", lambda done: truth(done) if done.seq % 2 else "")
    assert part is not None
    assert part.verdict is Verdict.PASS
    assert part.observed.endswith("; 3 name none")
    assert finding("ppp[xxs]pp", lambda _: "") is None


@pytest.mark.parametrize(
    ("said", "claimed"), [("config.targets[1]", "b"), ("config.targets[9]", "config.targets[9]"), (None, "")]
)
def test_the_client_translates_the_header(said: str | None, claimed: str) -> None:
    """What the header says is looked up; what is not known stays as it was said; no header is no claim."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=503, headers={} if said is None else {"x-who": said})

    async def ask() -> ArrivalDone:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        launch = Launch(
            argv=(),
            env={},
            cwd="",
            base_url=f"http://127.0.0.1:{runner.addresses[0][1]}",
            ready_path="/",
            chat_path="/v1/chat/completions",
            request_headers=(),
            claim_header="x-who",
            claims={"config.targets[0]": "a", "config.targets[1]": "b"},
        )
        callers = Callers(launch, "chat", clock := Clock())
        try:
            return await callers.call(0, Mark("0" * 16), False, clock.now_s(), 5)
        finally:
            await callers.close()
            await runner.cleanup()

    assert asyncio.run(ask()).claimed == claimed
