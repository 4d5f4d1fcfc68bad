"""The vendors' SDKs as a gateway uses them: event by event, whatever comes, each call once and all calls at a time.

In addition to the protocol's fields a call carries `within_s`, the SDK's own timeout, and an answer `took_s`.
`stop` is None when no event told it. What an SDK returns that is no answer object is told by the name of its type.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import anthropic
import boto3
import openai
from botocore.config import Config
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google import genai
from google.genai import types
from google.oauth2 import service_account
from protocol import answered

AT_A_TIME = 40


def anthropic_client(url: str, within_s: float) -> anthropic.Anthropic:
    """The Anthropic SDK."""
    return anthropic.Anthropic(api_key="sk-ant-drill", base_url=url, timeout=within_s, max_retries=0)


def ask_anthropic(client: anthropic.Anthropic, prompt: str, stream: bool) -> dict[str, Any]:
    """A message."""
    asked: Any = {"model": "claude-sonnet-5", "max_tokens": 256, "messages": [{"role": "user", "content": prompt}]}
    if not stream:
        whole: Any = client.messages.create(**asked)
        if not isinstance(whole, anthropic.types.Message):
            return _strange(whole)
        return answered("".join(part.text for part in whole.content or ()), whole.stop_reason, None, None)
    text, stop = "", None
    for event in client.messages.create(**asked, stream=True):
        delta = getattr(event, "delta", None)
        text += getattr(delta, "text", None) or ""
        stop = getattr(delta, "stop_reason", None) or stop
    return answered(text, stop, None, None)


def openai_client(url: str, within_s: float) -> openai.OpenAI:
    """The OpenAI SDK."""
    return openai.OpenAI(api_key="sk-drill", base_url=f"{url}/v1", timeout=within_s, max_retries=0)


def ask_openai(client: openai.OpenAI, prompt: str, stream: bool) -> dict[str, Any]:
    """A chat completion."""
    asked: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]}
    if not stream:
        whole: Any = client.chat.completions.create(**asked)
        if not isinstance(whole, openai.types.chat.ChatCompletion):
            return _strange(whole)
        choice = whole.choices[0]
        return answered(choice.message.content or "", choice.finish_reason, None, None)
    text, stop = "", None
    for chunk in client.chat.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            stop = choice.finish_reason or stop
    return answered(text, stop, None, None)


def gemini_client(url: str, within_s: float) -> genai.Client:
    """The Google GenAI SDK."""
    return genai.Client(api_key="AIza-drill", http_options=_google_options(url, within_s))


def vertex_client(url: str, within_s: float) -> genai.Client:
    """The same for Vertex: it fetches a token first, for a service account whose key was made on the spot."""
    info = {"client_email": "drill@p.iam.gserviceaccount.com", "token_uri": f"{url}/token", "private_key": _key()}
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
    return genai.Client(
        vertexai=True,
        project="p",
        location="europe-west1",
        credentials=service_account.Credentials.from_service_account_info(info, scopes=scopes),
        http_options=_google_options(url, within_s),
    )


def _google_options(url: str, within_s: float) -> types.HttpOptions:
    once = types.HttpRetryOptions(attempts=1)
    return types.HttpOptions(base_url=url, timeout=round(within_s * 1000), retry_options=once)


@cache
def _key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def ask_google(client: genai.Client, prompt: str, stream: bool) -> dict[str, Any]:
    """Generated content."""
    asked: Any = {"model": "gemini-2.5-pro", "contents": prompt}
    chunks: Iterable[Any] = (
        client.models.generate_content_stream(**asked) if stream else [client.models.generate_content(**asked)]
    )
    text, stop = "", None
    for chunk in chunks:
        text += chunk.text or ""
        told = chunk.candidates[0].finish_reason if chunk.candidates else None
        stop = told.value if told else stop
    return answered(text, stop, None, None)


def bedrock_client(url: str, within_s: float) -> object:
    """boto3."""
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="AKIADRILL",
        aws_secret_access_key="drill",  # noqa: S106 - a dummy
        config=Config(connect_timeout=within_s, read_timeout=within_s, retries={"total_max_attempts": 1}),
    )


def ask_bedrock(client: Any, prompt: str, stream: bool) -> dict[str, Any]:  # noqa: ANN401 - boto3 makes it at run time
    """Converse and ConverseStream."""
    asked: Any = {"modelId": "us.anthropic.claude-x", "messages": [{"role": "user", "content": [{"text": prompt}]}]}
    if not stream:
        whole = client.converse(**asked)
        if "output" not in whole:
            return _strange(whole)
        text = "".join(part["text"] for part in whole["output"]["message"]["content"])
        return answered(text, whole["stopReason"], None, None)
    text, stop = "", None
    for event in client.converse_stream(**asked)["stream"]:
        text += event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
        stop = event.get("messageStop", {}).get("stopReason", stop)
    return answered(text, stop, None, None)


def _strange(whole: object) -> dict[str, Any]:
    """An SDK that is given a web page may hand it over as if it were an answer."""
    return {"strange": type(whole).__name__, "text": str(whole)[:200]}


def _status(error: Exception) -> object:
    said: Any = getattr(error, "response", None)  # botocore's is a dict
    told = said.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(said, dict) else None
    return told or getattr(error, "status_code", None) or getattr(error, "code", None)


class Sdk(NamedTuple):
    """How a client is made (base URL, timeout), and how it is asked (client, prompt, whether to stream)."""

    make: Callable[[str, float], Any]
    ask: Callable[[Any, str, bool], dict[str, Any]]


SDKS = {
    "anthropic": Sdk(anthropic_client, ask_anthropic),
    "openai": Sdk(openai_client, ask_openai),
    "gemini": Sdk(gemini_client, ask_google),
    "vertex": Sdk(vertex_client, ask_google),
    "bedrock": Sdk(bedrock_client, ask_bedrock),
}


def _one(call: dict[str, Any], client: object, prompt: str) -> dict[str, Any]:
    began_s = time.monotonic()
    try:
        answer = SDKS[call["client"]].ask(client, prompt, call["stream"])
    except Exception as error:  # noqa: BLE001 - which exception an SDK raises is what is asked here
        kind = type(error)
        name = f"{kind.__module__}.{kind.__qualname__}"
        answer = {"exception": name, "status": _status(error), "what": str(error)}
    return answer | {"took_s": time.monotonic() - began_s}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    calls = asked["calls"]
    client_of = cache(lambda name, url, within_s: SDKS[name].make(url, within_s))
    clients = [client_of(call["client"], call["url"], call["within_s"]) for call in calls]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        found = pool.map(lambda call, client: _one(call, client, asked["prompt"]), calls, clients)
        json.dump(list(found), sys.stdout)
