"""The vendors' own SDKs get complete answers from the simulated providers, and raise what they raise in earnest.

The expected exceptions and numbers of attempts are those that were measured with the same versions (wire.md A.0).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from sdk_env import sdk_python

from drills import providers
from drills.marks import Mark, Shape, read_answer
from drills.providers.base import ErrorKind, Surface
from drills.simulator import SimulatedLeg, SimulatorReady, SimulatorSpec

__all__ = ["sdk_python"]
pytestmark = [pytest.mark.sdk, pytest.mark.timeout(900)]

MARK = Mark("fedcba9876543210", 8)
SCRIPTS = Path(__file__).parent / "sdk_scripts"
PROMPT_TOKENS = len(MARK.prompt().split())
ANSWER_TOKENS = MARK.words + 1


def ask(
    python: Path, script: str, calls: list[dict[str, Any]], env: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """Run a script of calls in the SDKs' environment, with no credentials or proxies of the user's in it."""
    environment = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG", "TMPDIR"}}
    environment |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    environment |= env or {}
    done = subprocess.run(
        [str(python), str(SCRIPTS / f"{script}.py")],
        check=False,
        input=json.dumps({"prompt": MARK.prompt(), "calls": calls}),
        capture_output=True,
        text=True,
        timeout=240,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


@pytest.fixture(scope="module")
def legs() -> Iterator[dict[str, str]]:
    """Base URL of a simulated leg of each provider, by the provider's name."""
    spec = SimulatorSpec(
        tuple(SimulatedLeg(f"leg-{name}", name) for name in providers.names()), first_token_s=0.01, tokens_per_s=500
    )
    command = [sys.executable, "-P", "-m", "drills.simulator"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(spec) + b"\n")
        process.stdin.flush()
        ready = msgspec.json.decode(process.stdout.readline(), type=SimulatorReady)
        yield {name.removeprefix("leg-"): f"http://127.0.0.1:{port}" for name, port in ready.ports.items()}
        process.stdin.close()
        assert process.wait(timeout=5) == 0


# script -> clients: the provider that answers, and how the SDK calls a finished answer
ANSWERS: dict[str, dict[str, tuple[str, str]]] = {
    "anthropic_calls": {
        "direct": ("anthropic", "end_turn"),
        "vertex": ("vertex", "end_turn"),
        "bedrock": ("bedrock", "end_turn"),
    },
    "openai_calls": {
        "chat": ("openai", "stop"),
        "responses": ("openai", "completed"),
        "azure_chat": ("azure", "stop"),
        "azure_responses": ("azure", "completed"),
    },
    "google_calls": {"gemini": ("gemini", "STOP"), "vertex": ("vertex", "STOP")},
    "aws_calls": {"converse": ("bedrock", "end_turn"), "invoke": ("bedrock", "end_turn")},
}


@pytest.mark.parametrize("script", ANSWERS)
def test_answers_are_complete(script: str, sdk_python: Path, legs: dict[str, str]) -> None:
    """Whole and streamed: the canonical text, the way it ended, and the usage, through every client of the SDK."""
    clients = [(client, stream) for client in ANSWERS[script] for stream in (False, True)]
    calls = [
        {"client": client, "url": legs[ANSWERS[script][client][0]], "stream": stream} for client, stream in clients
    ]
    for (client, stream), answer in zip(clients, ask(sdk_python, script, calls), strict=True):
        provider, stop = ANSWERS[script][client]
        assert "exception" not in answer, (client, stream, answer)
        reading = read_answer(answer.pop("text"), MARK)
        assert (client, stream, reading.shape, reading.legs) == (client, stream, Shape.WHOLE, (f"leg-{provider}",))
        assert answer == {"stop": stop, "input_tokens": PROMPT_TOKENS, "output_tokens": ANSWER_TOKENS}


def test_other_surfaces(sdk_python: Path, legs: dict[str, str]) -> None:
    """The list of models and the token count."""
    assert (
        "gpt-4o"
        in ask(sdk_python, "openai_calls", [{"client": "models", "url": legs["openai"], "stream": False}])[0]["text"]
    )
    counted = ask(sdk_python, "anthropic_calls", [{"client": "count", "url": legs["anthropic"], "stream": False}])
    assert counted[0]["input_tokens"] == PROMPT_TOKENS


class FailingProviders:
    """Answers `/<provider>/<kind or status>/<the vendor's path>` with that failure, and counts what it sees."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.port = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Fail a model call as asked; other surfaces are healthy."""
        _, name, failure, *_ = request.path.split("/")
        dialect = providers.get(name)
        call = dialect.recognise(request.method, request.raw_path, tuple(request.headers.items()), await request.read())
        reply = dialect.answer(call, "", "rid")
        if call.surface is Surface.MODEL:
            self.seen[f"{name}/{failure}"] += 1
            if failure.isdigit():
                reply = dialect.status(int(failure), call, "rid")
            else:
                reply = dialect.error(ErrorKind(failure), call, "rid")
        return web.Response(status=reply.status, headers=list(reply.headers), body=reply.body)

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        """Serve on a free loopback port until `stop`."""
        runner = web.ServerRunner(web.Server(self.handle, access_log=None), shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        ready.set()
        await stop.wait()
        await runner.cleanup()


@pytest.fixture(scope="module")
def failing() -> Iterator[FailingProviders]:
    """A server of failures, in a thread of its own."""
    server, ready = FailingProviders(), threading.Event()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve(ready, stop)))
    thread.start()
    assert ready.wait(5)
    yield server
    loop.call_soon_threadsafe(stop.set)
    thread.join(5)
    loop.close()


# script -> (client, provider, failure by kind or status, exception, status it carries, requests that the SDK makes)
FAILURES: dict[str, list[tuple[str, str, str, str, int, int]]] = {
    "anthropic_calls": [
        ("direct", "anthropic", "overloaded", "anthropic.OverloadedError", 529, 3),
        ("direct", "anthropic", "rate_limited", "anthropic.RateLimitError", 429, 3),
        ("direct", "anthropic", "quota_exhausted", "anthropic.EnforcedSpendLimitReachedError", 429, 3),
        ("direct", "anthropic", "auth_failed", "anthropic.AuthenticationError", 401, 1),
        ("direct", "anthropic", "permission_denied", "anthropic.PermissionDeniedError", 403, 1),
        ("direct", "anthropic", "model_not_found", "anthropic.NotFoundError", 404, 1),
        ("direct", "anthropic", "context_length", "anthropic.BadRequestError", 400, 1),
        ("direct", "anthropic", "billing", "anthropic.PaymentRequiredError", 402, 1),
        ("direct", "anthropic", "server_error", "anthropic.InternalServerError", 500, 3),
        ("direct", "anthropic", "unavailable", "anthropic.CMEKKeyUnreachableError", 503, 3),
        ("direct", "anthropic", "409", "anthropic.ConflictError", 409, 3),
        ("vertex", "vertex", "overloaded", "anthropic.OverloadedError", 529, 3),
        ("vertex", "vertex", "rate_limited", "anthropic.RateLimitError", 429, 3),
        ("bedrock", "bedrock", "424", "anthropic.APIStatusError", 424, 1),
    ],
    "openai_calls": [
        ("chat", "openai", "overloaded", "openai.InternalServerError", 503, 3),
        ("chat", "openai", "rate_limited", "openai.RateLimitError", 429, 3),
        ("chat", "openai", "quota_exhausted", "openai.RateLimitError", 429, 3),
        ("chat", "openai", "auth_failed", "openai.AuthenticationError", 401, 1),
        ("chat", "openai", "permission_denied", "openai.PermissionDeniedError", 403, 1),
        ("chat", "openai", "model_not_found", "openai.NotFoundError", 404, 1),
        ("responses", "openai", "invalid_request", "openai.BadRequestError", 400, 1),
        ("responses", "openai", "server_error", "openai.InternalServerError", 500, 3),
        ("chat", "openai", "timeout", "openai.InternalServerError", 504, 3),
        ("azure_chat", "azure", "content_filtered", "openai.BadRequestError", 400, 1),
        ("azure_chat", "azure", "overloaded", "openai.RateLimitError", 429, 3),
        ("azure_chat", "azure", "timeout", "openai.APIStatusError", 408, 3),
    ],
    "google_calls": [
        ("gemini", "gemini", "overloaded", "google.genai.errors.ServerError", 503, 1),
        ("gemini", "gemini", "rate_limited", "google.genai.errors.ClientError", 429, 1),
        ("gemini", "gemini", "permission_denied", "google.genai.errors.ClientError", 403, 1),
        ("gemini", "gemini", "timeout", "google.genai.errors.ServerError", 504, 1),
        ("vertex", "vertex", "auth_failed", "google.genai.errors.ClientError", 401, 1),
        ("vertex", "vertex", "unavailable", "google.genai.errors.ServerError", 503, 1),
    ],
    "aws_calls": [
        ("converse", "bedrock", "rate_limited", "botocore.errorfactory.ThrottlingException", 429, 3),
        ("converse", "bedrock", "timeout", "botocore.errorfactory.ModelTimeoutException", 408, 1),
        ("converse", "bedrock", "424", "botocore.errorfactory.ModelErrorException", 424, 1),
        ("converse", "bedrock", "server_error", "botocore.errorfactory.InternalServerException", 500, 3),
        ("converse", "bedrock", "unavailable", "botocore.errorfactory.ServiceUnavailableException", 503, 3),
        ("invoke", "bedrock", "quota_exhausted", "botocore.errorfactory.ServiceQuotaExceededException", 400, 1),
        ("invoke", "bedrock", "permission_denied", "botocore.errorfactory.AccessDeniedException", 403, 1),
        ("invoke", "bedrock", "model_not_found", "botocore.errorfactory.ResourceNotFoundException", 404, 1),
        ("invoke", "bedrock", "context_length", "botocore.errorfactory.ValidationException", 400, 1),
        ("invoke", "bedrock", "529", "botocore.exceptions.ClientError", 529, 1),
    ],
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("script", FAILURES)
def test_failures_raise_what_the_vendor_raises(
    script: str, stream: bool, sdk_python: Path, failing: FailingProviders
) -> None:
    """Class and status of the exception, and how often the SDK tried, whole and streamed alike."""
    rows = FAILURES[script]
    failing.seen.clear()
    calls = [
        {"client": client, "url": f"http://127.0.0.1:{failing.port}/{provider}/{failure}", "stream": stream}
        for client, provider, failure, *_ in rows
    ]
    answers = ask(sdk_python, script, calls)
    assert [
        (
            client,
            provider,
            failure,
            answer.get("exception"),
            answer.get("status"),
            failing.seen[f"{provider}/{failure}"],
        )
        for (client, provider, failure, *_), answer in zip(rows, answers, strict=True)
    ] == rows
