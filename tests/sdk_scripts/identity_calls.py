"""One Google GenAI client on Vertex that is used twice: with a token, and again when its identity service is down."""

from __future__ import annotations

import time
from typing import Any

import google_calls
import requests
from protocol import answered, run

_WAIT_S = 20.0


def twice(url: str, prompt: str, stream: bool) -> dict[str, Any]:
    """The second answer of a client whose first one was good."""
    client = google_calls.vertex_client(url)
    google_calls.generate(client, prompt, stream)
    until_s = time.monotonic() + _WAIT_S
    while requests.post(f"{url}/token", timeout=_WAIT_S).status_code == 200:
        if time.monotonic() > until_s:
            return answered("the identity service never failed", None, None, None)
        time.sleep(0.05)
    return google_calls.generate(client, prompt, stream)


if __name__ == "__main__":
    run({"twice": twice}, lambda error: getattr(error, "code", None))
