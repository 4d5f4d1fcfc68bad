"""Bodies of OpenAI chat completions, as OpenAI and Azure serve them. Source: wire.md A.3 and A.7."""

from __future__ import annotations

import msgspec

from drills.providers import sse
from drills.providers.base import Call, Surface
from drills.providers.bodies import (
    CREATED_S,
    Json,
    Steps,
    dump,
    last_user_text,
    list_in,
    load,
    object_in,
    short_id,
    text_in,
    unreadable,
    words_in,
)

DONE = b"data: [DONE]\n\n"
OPERATION = "chat.completions"


class Additions(msgspec.Struct, frozen=True):
    """What a host of the dialect adds to OpenAI's own bodies.

    body: fields of a whole answer. choice: fields of each choice with text. lead: fields of an extra first chunk
    without choices; None when the host sends none.
    """

    body: Json = msgspec.field(default_factory=dict)
    choice: Json = msgspec.field(default_factory=dict)
    lead: Json | None = None


def chat_call(body: Json | None, model: str = "", region: str | None = None) -> Call:
    """A call with a chat completions body; `model` is the deployment in the path, if any."""
    if body is None or not isinstance(body.get("messages"), list):
        return unreadable(model, region)
    return Call(
        surface=Surface.MODEL,
        operation=OPERATION,
        model=model or text_in(body, "model"),
        region=region,
        stream=body.get("stream") is True,
        text=last_user_text(list_in(body, "messages")),
        include_usage=object_in(body, "stream_options").get("include_usage") is True,
    )


def chat_body(call: Call, text: str, request_id: str, extra: Additions) -> Json:
    """A whole chat completion."""
    message: Json = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None, **extra.choice}
    body: Json = {**_head(call, request_id), "object": "chat.completion", "choices": [choice]}
    return {**body, "usage": _usage(call, words_in(text)), **extra.body}


def chat_steps(call: Call, words: tuple[str, ...], request_id: str, extra: Additions) -> Steps:
    """The chunks of a chat completion, without the `[DONE]` behind them."""
    head: Json = {**_head(call, request_id), "object": "chat.completion.chunk"}
    if call.include_usage:
        head["usage"] = None

    def chunk(delta: Json, finish_reason: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return {**head, "choices": [{**choice, **(extra.choice if "content" in delta else {})}]}

    first = chunk({"role": "assistant", "content": "", "refusal": None})
    last = chunk({}, "stop")
    usage: Json = {**head, "choices": [], "usage": _usage(call, max(1, len(words)))}
    lead: tuple[Json, ...] = () if extra.lead is None else ({**head, "id": "", "choices": [], **extra.lead},)
    return Steps(
        opening=(*lead, first),
        tokens=tuple(chunk({"content": word}) for word in words),
        closing=(last, usage) if call.include_usage else (last,),
    )


def frame(chunk: Json) -> bytes:
    """A chunk as server-sent event without a name."""
    return sse.encode(dump(chunk).decode())


def read_chat(body: Json) -> str:
    """`Provider.read` of a whole chat completion."""
    choices = list_in(body, "choices")
    if body.get("object") != "chat.completion" or not choices:
        raise ValueError("the answer is no chat completion")
    _stopped(text_in(choices[0], "finish_reason"))
    return text_in(object_in(choices[0], "message"), "content")


def read_chunks(events: list[sse.Event]) -> str:
    """`Provider.read` of the chunks of a chat completion and their `[DONE]`."""
    *chunks, done = events
    if done.data != "[DONE]":
        raise ValueError("the stream ends without [DONE]")
    text, finish_reason = [], ""
    for event in chunks:
        chunk = load(event.data)
        if chunk is None:
            raise ValueError("a chunk is not a JSON object")
        if chunk.get("error") is not None:
            raise ValueError(f"the stream carries an error: {text_in(object_in(chunk, 'error'), 'message')}")
        for choice in list_in(chunk, "choices"):
            text.append(text_in(object_in(choice, "delta"), "content"))
            finish_reason = text_in(choice, "finish_reason") or finish_reason
    _stopped(finish_reason)
    return "".join(text)


def _head(call: Call, request_id: str) -> Json:
    return {
        "id": f"chatcmpl-{short_id(request_id)}",
        "created": CREATED_S,
        "model": call.model,
        "service_tier": "default",
        "system_fingerprint": "fp_drill",
    }


def _usage(call: Call, completion_tokens: int) -> Json:
    prompt_tokens = words_in(call.text)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _stopped(finish_reason: str) -> None:
    if finish_reason != "stop":
        raise ValueError(f"the answer finished by {finish_reason or 'nothing'}, not by stop")
