"""The OpenAI SDK, direct and through its Azure client, with default settings."""

from __future__ import annotations

from typing import Any

import openai
from protocol import answered, run


def _direct(url: str) -> openai.OpenAI:
    return openai.OpenAI(api_key="sk-drill", base_url=f"{url}/v1")


def _azure(url: str) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(api_key="drill", azure_endpoint=url, api_version="2024-10-21")


def chat(url: str, prompt: str, stream: bool) -> dict[str, Any]:
    """Chat completions."""
    return _chat(_direct(url), prompt, stream)


def azure_chat(url: str, prompt: str, stream: bool) -> dict[str, Any]:
    """Chat completions of a deployment."""
    return _chat(_azure(url), prompt, stream)


def responses(url: str, prompt: str, stream: bool) -> dict[str, Any]:
    """Responses."""
    return _responses(_direct(url), prompt, stream)


def azure_responses(url: str, prompt: str, stream: bool) -> dict[str, Any]:
    """Responses of Azure."""
    return _responses(_azure(url), prompt, stream)


def models(url: str, _prompt: str, _stream: bool) -> dict[str, Any]:
    """The list of models, as text."""
    return answered(" ".join(model.id for model in _direct(url).models.list()), None, None, None)


def _chat(client: openai.OpenAI, prompt: str, stream: bool) -> dict[str, Any]:
    messages: Any = [{"role": "user", "content": prompt}]
    if not stream:
        whole = client.chat.completions.create(model="gpt-4o", messages=messages)
        choice = whole.choices[0]
        return answered(
            choice.message.content, choice.finish_reason, whole.usage.prompt_tokens, whole.usage.completion_tokens
        )
    text, stop, usage = "", None, None
    options: Any = {"include_usage": True}
    for chunk in client.chat.completions.create(model="gpt-4o", messages=messages, stream=True, stream_options=options):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            stop = choice.finish_reason or stop
    return answered(text, stop, usage.prompt_tokens, usage.completion_tokens)


def _responses(client: openai.OpenAI, prompt: str, stream: bool) -> dict[str, Any]:
    if stream:
        with client.responses.stream(model="gpt-4o", input=prompt) as events:
            text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
            whole = events.get_final_response()
    else:
        whole = client.responses.create(model="gpt-4o", input=prompt)
        text = whole.output_text
    return answered(text, whole.status, whole.usage.input_tokens, whole.usage.output_tokens)


if __name__ == "__main__":
    run(
        {
            "chat": chat,
            "azure_chat": azure_chat,
            "responses": responses,
            "azure_responses": azure_responses,
            "models": models,
        },
        lambda error: getattr(error, "status_code", None),
    )
