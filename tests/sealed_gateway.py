"""A small gateway with its own config, for drills on the routes that keep it: `python sealed_gateway.py CONFIG PORT`.

The config is JSON: `{"legs": ["https://...", ...], "tries": ["name or address:port", ...]}`. Before it serves it tries
what is to be tried. Each request goes to the legs in their order, each on a new connection, so that each needs the name
of its host again.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

WITHIN_S = 1.0
CONFIG = json.loads(Path(sys.argv[1]).read_text())


def ask(base: str, path: str, body: bytes) -> tuple[str, bytes] | None:
    """A leg's answer: its type and its body. None when it is no good."""
    parts = urlsplit(base)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    line = kind(parts.netloc, timeout=WITHIN_S)
    try:
        line.request("POST", path, body, {"content-type": "application/json", "authorization": "Bearer own-key"})
        answer = line.getresponse()
        whole = answer.read()
        return (answer.headers["content-type"], whole) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ssl.SSLError):
        return None
    finally:
        line.close()


class Handler(BaseHTTPRequestHandler):
    """Callers' side."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """It is ready."""
        self._say(200, "text/plain", b"ready")

    def do_POST(self) -> None:
        """The first leg that answers well."""
        body = self.rfile.read(int(self.headers["content-length"]))
        for base in CONFIG["legs"]:
            if (found := ask(base, self.path, body)) is not None:
                self._say(200, *found)
                return
        self._say(503, "application/json", b'{"error": {"message": "no leg answers"}}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _say(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Try, then serve."""
    for there in CONFIG.get("tries", ()):
        host, _, port = there.rpartition(":")
        with suppress(OSError):
            socket.create_connection((host, int(port)), 0.5).close()
            print(f"reached {there}", flush=True)  # noqa: T201  its log
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()


if __name__ == "__main__":
    main()
