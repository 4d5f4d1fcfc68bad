"""What the folder of a run never holds, and what it may hold all the same: said in each manifest and report."""

from __future__ import annotations

NEVER_STORED = (
    "The gateway's config is not kept: its file name, its SHA-256 and what was read of its legs are.",
    (
        "Keys are not kept. A private copy of a config has dummies in their place; a key that the drill itself sends "
        "or hands on is replaced by [redacted] in the history and in gateway.log, where its name or its looks say that "
        "it is one."
    ),
    (
        "Prompts and answers of your users are not kept: the drill sends texts of its own. Of an application's own "
        "requests it keeps a hash of the last message, keyed with a secret of the run that is written nowhere."
    ),
    "Of an error that a gateway answered with, at most the first 300 characters are kept.",
    "The scenario is kept whole, as it was written.",
    (
        "gateway.log is what the gateway or the application printed by itself; the last five lines of an application "
        "are in the history too. The drill takes out the keys that it knows of and cannot know what else a program "
        "prints: read it before you hand it on."
    ),
)
"""Sentences, each true of every run; docs/evidence.md says how it is tested."""
