"""The poor man's failover: one provider after the other. Drill it: see the README, "An application of your own"."""

import itertools
import time

import anthropic
import openai

claude = anthropic.Anthropic(timeout=2, max_retries=0)  # by default: 600 s, and two retries
gpt = openai.OpenAI(timeout=2, max_retries=0)


def ask(text: str) -> str | None:
    messages = [{"role": "user", "content": text}]
    try:
        return claude.messages.create(model="claude-sonnet-4-5", max_tokens=256, messages=messages).content[0].text
    except anthropic.APIError:
        return gpt.chat.completions.create(model="gpt-4o", messages=messages).choices[0].message.content


for number in itertools.count():
    print(ask(f"Question {number}: why do systems fail?"), flush=True)
    time.sleep(0.1)
