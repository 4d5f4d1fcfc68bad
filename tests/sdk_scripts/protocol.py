"""What a script is asked on standard input, and what it answers on standard output, as JSON.

In: `{"prompt": text, "calls": [{"client": name, "url": base URL, "stream": bool}, ...]}`.
Out, one for each call: `{"text", "stop", "input_tokens", "output_tokens"}` or `{"exception", "status"}`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

Client = Callable[[str, str, bool], dict[str, Any]]


def run(clients: dict[str, Client], status_of: Callable[[Exception], object]) -> None:
    """Carry out every call in order; a client takes base URL, prompt and whether to stream."""
    asked = json.load(sys.stdin)
    answers = []
    for call in asked["calls"]:
        try:
            answer = clients[call["client"]](call["url"], asked["prompt"], call["stream"])
        except Exception as error:  # noqa: BLE001 - which exception an SDK raises is what is asked here
            kind = type(error)
            answer = {
                "exception": f"{kind.__module__}.{kind.__qualname__}",
                "status": status_of(error),
                "what": str(error),
            }
        answers.append(answer)
    json.dump(answers, sys.stdout)


def answered(text: str, stop: object, input_tokens: object, output_tokens: object) -> dict[str, Any]:
    """A complete answer."""
    return {"text": text, "stop": stop, "input_tokens": input_tokens, "output_tokens": output_tokens}
