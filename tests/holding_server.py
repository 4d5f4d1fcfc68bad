"""A server that holds requests back until a number of them waits, and then answers all at once. Prints its port."""

from __future__ import annotations

import asyncio
import sys

from aiohttp import web

HOLD = int(sys.argv[1])


async def main() -> None:
    """Serve until the standard input ends."""
    held = asyncio.Event()
    seen = 0

    async def answer(_request: web.Request) -> web.Response:
        nonlocal seen
        seen += 1
        if seen == HOLD:
            held.set()
        await held.wait()
        return web.json_response({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
