"""The Anthropic SDK, direct and through its Vertex and Bedrock clients, with default settings."""

from __future__ import annotations

from typing import Any

import anthropic
from protocol import answered, run


def direct(url: str, prompt: str, stream: bool) -> dict[str, Any]:
    """The client of the Messages API."""
    return _messages(anthropic.Anthropic(api_key="sk-ant-drill", base_url=url), "claude-sonnet-5", prompt, stream)


def vertex(url: str, prompt: str, stream: bool) -> dict[str, Any]:
    """The client of Claude on Vertex, with a token at hand."""
    client = anthropic.AnthropicVertex(
        region="europe-west1",
        project_id="p",
        access_token="ya29.drill",  # noqa: S106 - a dummy
        base_url=f"{url}/v1",
    )
    return _messages(client, "claude-sonnet-5", prompt, stream)


def bedrock(url: str, prompt: str, stream: bool) -> dict[str, Any]:
    """The client of Claude on Bedrock, with signatures."""
    client = anthropic.AnthropicBedrock(
        aws_access_key="AKIADRILL",
        aws_secret_key="drill",  # noqa: S106 - a dummy
        aws_region="eu-west-1",
        base_url=url,
    )
    return _messages(client, "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", prompt, stream)


def count(url: str, prompt: str, _stream: bool) -> dict[str, Any]:
    """Token counting."""
    client = anthropic.Anthropic(api_key="sk-ant-drill", base_url=url)
    counted = client.messages.count_tokens(model="claude-sonnet-5", messages=[{"role": "user", "content": prompt}])
    return answered("", None, counted.input_tokens, None)


def _messages(client: Any, model: str, prompt: str, stream: bool) -> dict[str, Any]:  # noqa: ANN401 - three client types
    asked = {"model": model, "max_tokens": 256, "messages": [{"role": "user", "content": prompt}]}
    if stream:
        with client.messages.stream(**asked) as events:
            text = "".join(events.text_stream)
            message = events.get_final_message()
    else:
        message = client.messages.create(**asked)
        text = message.content[0].text
    return answered(text, message.stop_reason, message.usage.input_tokens, message.usage.output_tokens)


if __name__ == "__main__":
    run(
        {"direct": direct, "vertex": vertex, "bedrock": bedrock, "count": count},
        lambda error: getattr(error, "status_code", None),
    )
