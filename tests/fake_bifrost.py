"""A stand-in for `bifrost-http`: its flags, its config.json and its per-request fallbacks, for OpenAI's dialect only.

It is not Bifrost and proves nothing about it. It proves that the adapter's command, config and request fields arrive.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socketserver
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class Handler(BaseHTTPRequestHandler):
    """Answers the health check and chat completions."""

    protocol_version = "HTTP/1.1"
    providers: dict[str, dict[str, dict[str, object]]]

    def do_GET(self) -> None:
        """The health check."""
        self._answer(200, b'{"status":"ok"}', "application/json")

    def do_POST(self) -> None:
        """A chat completion: each target in turn until one begins to answer."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        for target in (body["model"], *body.pop("fallbacks", [])):
            provider, _, model = target.partition("/")
            network = self.providers[provider]["network_config"]
            url = urlsplit(str(network["base_url"]))
            timeout = float(str(network.get("default_request_timeout_in_seconds", 30)))
            upstream = http.client.HTTPConnection(url.netloc, timeout=timeout)
            try:
                headers = {"content-type": "application/json", "authorization": "Bearer x"}
                upstream.request("POST", "/v1/chat/completions", json.dumps({**body, "model": model}), headers)
                response = upstream.getresponse()
                first = self._until_text(response) if body.get("stream") else response.read()
            except OSError:
                continue
            if response.status == 200:
                self._relay(first, response) if body.get("stream") else self._answer(200, first, "application/json")
                return
        self._answer(502, b'{"error":{"message":"all failed"}}', "application/json")

    @staticmethod
    def _until_text(response: http.client.HTTPResponse) -> bytes:
        """The stream up to its first text: until then another target can still answer."""
        held = b""
        while line := response.readline():
            held += line
            if line.startswith(b"data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                break
        return held

    def _relay(self, first: bytes, response: http.client.HTTPResponse) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            while first:
                self.wfile.write(first)
                first = response.readline()
        except OSError:
            self.wfile.write(b'data: {"error":{"message":"the stream broke"}}\n\n')

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class calls it so
        """Say nothing."""


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    for name in ("host", "port", "app-dir", "log-level", "log-style"):
        parser.add_argument(f"-{name}")
    args = parser.parse_args()
    config = json.loads((Path(args.app_dir) / "config.json").read_text())
    assert config["config_store"] == {"enabled": False}
    Handler.providers = config["providers"]
    socketserver.TCPServer.request_queue_size = 256
    ThreadingHTTPServer((args.host, int(args.port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
