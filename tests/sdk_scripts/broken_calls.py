"""The vendors' SDKs as a gateway uses them: event by event, whatever comes. `stop` is None when no event told it."""

from __future__ import annotations

from typing import Any

import anthropic
import boto3
import openai
from google import genai
from google.genai import types
from protocol import answered, run


def anthropic_events(url: str, prompt: str, stream: bool) -> dict[str, Any]:
    """The Anthropic SDK."""
    client = anthropic.Anthropic(api_key="sk-ant-drill", base_url=url)
    messages: Any = [{"role": "user", "content": prompt}]
    if not stream:
        return _whole(client.messages.create(model="claude-sonnet-5", max_tokens=256, messages=messages))
    text, stop = "", None
    for event in client.messages.create(model="claude-sonnet-5", max_tokens=256, messages=messages, stream=True):
        delta = getattr(event, "delta", None)
        text += getattr(delta, "text", None) or ""
        stop = getattr(delta, "stop_reason", None) or stop
    return answered(text, stop, None, None)


def openai_events(url: str, prompt: str, stream: bool) -> dict[str, Any]:
    """The OpenAI SDK, chat completions."""
    client = openai.OpenAI(api_key="sk-drill", base_url=f"{url}/v1")
    messages: Any = [{"role": "user", "content": prompt}]
    if not stream:
        return _whole(client.chat.completions.create(model="gpt-4o", messages=messages))
    text, stop = "", None
    for chunk in client.chat.completions.create(model="gpt-4o", messages=messages, stream=True):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            stop = choice.finish_reason or stop
    return answered(text, stop, None, None)


def gemini_events(url: str, prompt: str, _stream: bool) -> dict[str, Any]:
    """The Google GenAI SDK."""
    client = genai.Client(api_key="AIza-drill", http_options=types.HttpOptions(base_url=url))
    text, stop = "", None
    for chunk in client.models.generate_content_stream(model="gemini-2.5-pro", contents=prompt):
        text += chunk.text or ""
        told = chunk.candidates[0].finish_reason if chunk.candidates else None
        stop = told.value if told else stop
    return answered(text, stop, None, None)


def bedrock_events(url: str, prompt: str, _stream: bool) -> dict[str, Any]:
    """boto3, ConverseStream."""
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="AKIADRILL",
        aws_secret_access_key="drill",  # noqa: S106 - a dummy
    )
    text, stop = "", None
    messages: Any = [{"role": "user", "content": [{"text": prompt}]}]
    for event in client.converse_stream(modelId="us.anthropic.claude-x", messages=messages)["stream"]:
        text += event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
        stop = event.get("messageStop", {}).get("stopReason", stop)
    return answered(text, stop, None, None)


def _whole(answer: object) -> dict[str, Any]:
    """An SDK that is given a web page may hand it over as if it were an answer."""
    return answered(type(answer).__name__, None, None, None)


def _status(error: Exception) -> object:
    return getattr(error, "status_code", None) or getattr(error, "code", None)


if __name__ == "__main__":
    run(
        {
            "anthropic": anthropic_events,
            "openai": openai_events,
            "gemini": gemini_events,
            "bedrock": bedrock_events,
        },
        _status,
    )
