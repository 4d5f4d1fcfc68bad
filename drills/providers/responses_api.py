"""Bodies of the OpenAI Responses API, as OpenAI and Azure serve them. Source: wire.md A.3."""

from __future__ import annotations

from itertools import pairwise

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

OPERATION = "responses"
_FAILURES = {"error", "response.failed", "response.incomplete"}


def responses_call(body: Json | None, region: str | None = None) -> Call:
    """A call with a Responses body: `input` is a string or a list of items."""
    given = None if body is None else body.get("input")
    if body is None or not isinstance(given, str | list):
        return unreadable(region=region)
    return Call(
        surface=Surface.MODEL,
        operation=OPERATION,
        model=text_in(body, "model"),
        region=region,
        stream=body.get("stream") is True,
        text=given if isinstance(given, str) else last_user_text(_messages(given)),
        include_usage=True,
    )


def response_body(call: Call, text: str, request_id: str) -> Json:
    """A whole response."""
    return {**_response(call, request_id, "completed"), "output": [_item(text, request_id)], **_usage(call, text)}


def response_steps(call: Call, words: tuple[str, ...], request_id: str) -> Steps:
    """The events of a response, from `response.created` to `response.completed`, numbered through."""
    text = "".join(words)
    running = _response(call, request_id, "in_progress")
    item = _item(text, request_id)
    empty: Json = {**item, "status": "in_progress", "content": []}
    at: Json = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    opening: list[Json] = [
        {"type": "response.created", "response": running},
        {"type": "response.in_progress", "response": running},
        {"type": "response.output_item.added", "output_index": 0, "item": empty},
        {"type": "response.content_part.added", **at, "part": _part("")},
    ]
    tokens: list[Json] = [{"type": "response.output_text.delta", **at, "delta": word, "logprobs": []} for word in words]
    closing: list[Json] = [
        {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": _part(text)},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response_body(call, text, request_id)},
    ]
    return Steps(
        opening=_numbered(opening, 0),
        tokens=_numbered(tokens, len(opening)),
        closing=_numbered(closing, len(opening) + len(tokens)),
    )


def frame(event: Json) -> bytes:
    """An event as server-sent event, named by its type."""
    return sse.encode(dump(event).decode(), name=text_in(event, "type"))


def read_response(body: Json) -> str:
    """`Provider.read` of a whole response."""
    status = text_in(body, "status")
    if status != "completed":
        raise ValueError(f"the response is {status or 'without status'}, not completed")
    items = [item for item in list_in(body, "output") if text_in(item, "type") == "message"]
    return "".join(text_in(part, "text") for item in items for part in list_in(item, "content"))


def is_event(event: sse.Event) -> bool:
    """Whether an event is one of this API. Some gateways leave out the `event:` line."""
    return text_in(load(event.data), "type").startswith("response.")


def read_events(events: list[sse.Event]) -> str:
    """`Provider.read` of the events of a response. Some gateways send chat's `[DONE]` behind the last."""
    *others, last = [_event(event) for event in (events[:-1] if events[-1].data == "[DONE]" else events)]
    if text_in(last, "type") != "response.completed":
        raise ValueError("the stream ends without response.completed")
    if any(text_in(event, "type") == "response.completed" for event in others):
        raise ValueError("the stream goes on after response.completed")
    numbers = [at for event in (*others, last) if isinstance(at := event.get("sequence_number"), int)]
    if any(after <= before for before, after in pairwise(numbers)):
        raise ValueError("an event is out of sequence")
    deltas = (event for event in others if text_in(event, "type") == "response.output_text.delta")
    text = "".join(text_in(event, "delta") for event in deltas)
    if read_response(object_in(last, "response")) != text:
        raise ValueError("the deltas are not the text of the completed response")
    return text


def _event(event: sse.Event) -> Json:
    body = load(event.data)
    kind = text_in(body, "type")
    if body is None or not kind:
        raise ValueError("an event is not a JSON object with a type")
    if kind in _FAILURES:
        raise ValueError(f"the stream carries {kind}: an error")
    return body


def _messages(items: list[object]) -> list[object]:
    return [item for item in items if text_in(item, "type") in {"", "message"}]


def _numbered(events: list[Json], start: int) -> tuple[Json, ...]:
    return tuple({**event, "sequence_number": number} for number, event in enumerate(events, start))


def _part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _item(text: str, request_id: str) -> Json:
    return {
        "id": f"msg_{short_id(request_id)}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [_part(text)],
    }


def _usage(call: Call, text: str) -> Json:
    input_tokens, output_tokens = words_in(call.text), words_in(text)
    usage: Json = {
        "input_tokens": input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input_tokens + output_tokens,
    }
    return {"usage": usage, "completed_at": CREATED_S}


def _response(call: Call, request_id: str, status: str) -> Json:
    return {
        "id": f"resp_{short_id(request_id)}",
        "object": "response",
        "created_at": CREATED_S,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": call.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }
