"""The same without the `except`: what the drill says of it is that the first outage ends it."""

import itertools
import time

import anthropic

claude = anthropic.Anthropic(timeout=2, max_retries=0)


def ask(text: str) -> str:
    messages = [{"role": "user", "content": text}]
    return claude.messages.create(model="claude-sonnet-4-5", max_tokens=256, messages=messages).content[0].text


for number in itertools.count():
    print(ask(f"Question {number}: why do systems fail?"), flush=True)
    time.sleep(0.1)
