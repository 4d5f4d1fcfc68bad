"""Quantities that people write with a unit, and the types that say which unit a number in the code has.

A duration or a rate without a unit is an error, never a guess. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class Unit:
    """Marks a number type with how it is written in YAML: `duration`, `rate`, `bandwidth` or `share`."""

    name: str


Seconds = Annotated[float, Unit("duration")]
"""Written `500ms`, `30s`, `2m`, `1h`; held in seconds."""

PerSecond = Annotated[float, Unit("rate")]
"""Written `10/s` or `600/min`; held per second."""

BytesPerSecond = Annotated[float, Unit("bandwidth")]
"""Written `500B/s`, `2kB/s` or `1MB/s`, in powers of 1000; held in bytes per second."""

Share = Annotated[float, Unit("share")]
"""Written `50%`; held as 0..1."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|min)")
_BANDWIDTH = re.compile(r"(\d+(?:\.\d+)?)\s*(B|kB|MB)\s*/\s*s")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_SECONDS_PER = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "min": 60.0}
_BYTES_PER = {"B": 1.0, "kB": 1e3, "MB": 1e6}


def parse_seconds(text: str) -> float:
    """Seconds of a written duration. Raises `ValueError` that says what is allowed."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write a number and a unit: 500ms, 30s, 2m, 1h")
    return float(match[1]) * _SECONDS_PER[match[2]]


def parse_per_second(text: str) -> float:
    """Events per second of a written rate. Raises `ValueError` that says what is allowed."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a rate; write a number and a unit: 10/s, 600/min")
    return float(match[1]) / _SECONDS_PER[match[2]]


def parse_bytes_per_second(text: str) -> float:
    """Bytes per second of a written bandwidth. Raises `ValueError` that says what is allowed."""
    match = _BANDWIDTH.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a bandwidth; write a number and a unit: 500B/s, 2kB/s, 1MB/s")
    return float(match[1]) * _BYTES_PER[match[2]]


def parse_share(text: str) -> float:
    """A written percentage as 0..1. Raises `ValueError` that says what is allowed."""
    match = _SHARE.fullmatch(text.strip())
    if match is None or float(match[1]) > 100:
        raise ValueError(f"{text!r} is not a share; write a percentage from 0% to 100%: 50%")
    return float(match[1]) / 100


PARSERS = {
    "duration": parse_seconds,
    "rate": parse_per_second,
    "bandwidth": parse_bytes_per_second,
    "share": parse_share,
}
EXAMPLES = {
    "duration": "500ms, 30s, 2m, 1h",
    "rate": "10/s, 600/min",
    "bandwidth": "500B/s, 2kB/s, 1MB/s",
    "share": "50%",
}
