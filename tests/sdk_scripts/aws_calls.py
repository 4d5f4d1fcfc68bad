"""boto3's Bedrock runtime client, with default settings and dummy keys."""

from __future__ import annotations

import json
from typing import Any

import boto3
from protocol import answered, run

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def _client(url: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="AKIADRILL",
        aws_secret_access_key="drill",  # noqa: S106 - a dummy
    )


def converse(url: str, prompt: str, stream: bool) -> dict[str, Any]:
    """Converse and ConverseStream."""
    asked: Any = {"modelId": MODEL, "messages": [{"role": "user", "content": [{"text": prompt}]}]}
    if not stream:
        whole = _client(url).converse(**asked)
        text = whole["output"]["message"]["content"][0]["text"] if whole["output"]["message"]["content"] else ""
        return answered(text, whole["stopReason"], whole["usage"]["inputTokens"], whole["usage"]["outputTokens"])
    text, stop, usage = "", None, {}
    for event in _client(url).converse_stream(**asked)["stream"]:
        text += event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
        stop = event.get("messageStop", {}).get("stopReason", stop)
        usage = event.get("metadata", {}).get("usage", usage)
    return answered(text, stop, usage["inputTokens"], usage["outputTokens"])


def invoke(url: str, prompt: str, stream: bool) -> dict[str, Any]:
    """InvokeModel and InvokeModelWithResponseStream, with a Claude body."""
    body = {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 256,
        "messages": [{"role": "user", "content": prompt}],
    }
    asked: Any = {"modelId": MODEL, "body": json.dumps(body)}
    if not stream:
        whole = json.loads(_client(url).invoke_model(**asked)["body"].read())
        usage = whole["usage"]
        return answered(
            whole["content"][0]["text"], whole["stop_reason"], usage["input_tokens"], usage["output_tokens"]
        )
    text, stop, usage = "", None, {}
    for event in _client(url).invoke_model_with_response_stream(**asked)["body"]:
        chunk = json.loads(event["chunk"]["bytes"])
        text += chunk.get("delta", {}).get("text", "")
        stop = chunk.get("delta", {}).get("stop_reason", stop)
        usage = chunk.get("usage", usage)
    return answered(text, stop, usage["input_tokens"], usage["output_tokens"])


def _status(error: Exception) -> object:
    return getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode")


if __name__ == "__main__":
    run({"converse": converse, "invoke": invoke}, _status)
