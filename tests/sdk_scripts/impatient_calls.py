"""The vendors' SDKs with one try and a second's patience: what they make of a connection that does not come about."""

from __future__ import annotations

from typing import Any

import anthropic
import boto3
import openai
from botocore.config import Config
from protocol import answered, run

WITHIN_S = 1.0


def anthropic_call(url: str, prompt: str, _stream: bool) -> dict[str, Any]:
    """The Anthropic SDK."""
    client = anthropic.Anthropic(api_key="sk-ant-drill", base_url=url, timeout=WITHIN_S, max_retries=0)
    messages: Any = [{"role": "user", "content": prompt}]
    done = client.messages.create(model="claude-sonnet-5", max_tokens=256, messages=messages)
    return answered("".join(block.text for block in done.content), done.stop_reason, None, None)


def openai_call(url: str, prompt: str, _stream: bool) -> dict[str, Any]:
    """The OpenAI SDK."""
    client = openai.OpenAI(api_key="sk-drill", base_url=f"{url}/v1", timeout=WITHIN_S, max_retries=0)
    messages: Any = [{"role": "user", "content": prompt}]
    choice = client.chat.completions.create(model="gpt-4o", messages=messages).choices[0]
    return answered(choice.message.content, choice.finish_reason, None, None)


def bedrock_call(url: str, prompt: str, _stream: bool) -> dict[str, Any]:
    """boto3."""
    once = Config(connect_timeout=WITHIN_S, read_timeout=WITHIN_S, retries={"total_max_attempts": 1})
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        config=once,
        region_name="us-east-1",
        aws_access_key_id="AKIADRILL",
        aws_secret_access_key="drill",  # noqa: S106 - a dummy
    )
    messages: Any = [{"role": "user", "content": [{"text": prompt}]}]
    done = client.converse(modelId="us.anthropic.claude-x", messages=messages)
    return answered(done["output"]["message"]["content"][0]["text"], done["stopReason"], None, None)


if __name__ == "__main__":
    run({"anthropic": anthropic_call, "openai": openai_call, "bedrock": bedrock_call}, lambda _error: None)
