"""A gateway described by a small YAML file: any command that serves OpenAI chat completions."""

from __future__ import annotations

from pathlib import Path

from drills.gateways.base import Gateway
from drills.problems import UsageProblem


def load(path: Path) -> Gateway:
    """The gateway that a file describes. Raises `UsageProblem` with every problem of the file."""
    raise UsageProblem(f"{path}: gateways described by a file are not ready yet")
