"""Every official SDK's client, made without a base URL or a key: what it calls, it has from its environment."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import anthropic
import boto3
import openai
from google import genai

PROMPT = json.load(sys.stdin)
MESSAGES: Any = [{"role": "user", "content": PROMPT}]


def messages(client: Any, model: str) -> str:  # noqa: ANN401 - three client types
    """The text of a message."""
    return str(client.messages.create(model=model, max_tokens=256, messages=MESSAGES).content[0].text)


def chat(client: openai.OpenAI) -> str:
    """The text of a chat completion."""
    return str(client.chat.completions.create(model="gpt-4o", messages=MESSAGES).choices[0].message.content)


def converse() -> str:
    """The text of a conversation."""
    asked = [{"role": "user", "content": [{"text": PROMPT}]}]
    answer = boto3.client("bedrock-runtime").converse(modelId="anthropic.claude-sonnet-4-5", messages=asked)
    return str(answer["output"]["message"]["content"][0]["text"])


def content(client: genai.Client) -> str:
    """The text of generated content."""
    return str(client.models.generate_content(model="gemini-2.5-pro", contents=PROMPT).text)


CALLS: dict[str, Callable[[], str]] = {
    "anthropic": lambda: messages(anthropic.Anthropic(), "claude-sonnet-4-5"),
    "openai": lambda: chat(openai.OpenAI()),
    "azure": lambda: chat(openai.AzureOpenAI()),
    "bedrock": converse,
    "bedrock by anthropic": lambda: messages(anthropic.AnthropicBedrock(), "anthropic.claude-sonnet-4-5"),
    "gemini": lambda: content(genai.Client()),
    # With a base URL of its own this SDK forgets a project that stands in the environment, and calls no path at all.
    "vertex": lambda: content(genai.Client(vertexai=True, project="p", location="us-central1")),
    "vertex by anthropic": lambda: messages(anthropic.AnthropicVertex(), "claude-sonnet-4-5"),
}
answers = {}
for name, call in CALLS.items():
    try:
        answers[name] = call()
    except Exception as error:  # noqa: BLE001 - what an SDK says is what is asked here
        answers[name] = f"{type(error).__name__}: {error}"[:300]
json.dump(answers, sys.stdout)
