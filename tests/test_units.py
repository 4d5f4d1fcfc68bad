"""Quantities with units: what may be written, and what is refused with the choices."""

from __future__ import annotations

import pytest

from drills.units import EXAMPLES, PARSERS, parse_bytes_per_second, parse_per_second, parse_seconds, parse_share


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        # 500 ms is half a second
        ("500ms", 0.5),
        ("30s", 30.0),
        # two minutes of 60 s
        ("2m", 120.0),
        ("1h", 3600.0),
        ("1.5s", 1.5),
        # a space between number and unit is fine, around them too
        (" 10 s ", 10.0),
        ("0s", 0.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """A duration is held in seconds."""
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "30", "s", "-3s", "3 sec", "1m30s", "1e3s", "12:30", ".5s", "5S", "inf s"])
def test_what_is_no_duration(text: str) -> None:
    """A duration without a unit, or with an unknown one, is never guessed; the message gives examples."""
    with pytest.raises(ValueError, match="write a number and a unit: 500ms, 30s, 2m, 1h"):
        parse_seconds(text)


@pytest.mark.parametrize(
    ("text", "per_second"),
    [
        ("10/s", 10.0),
        # 600 in a minute are 10 in a second
        ("600/min", 10.0),
        ("0.5 / s", 0.5),
    ],
)
def test_rates(text: str, per_second: float) -> None:
    """A rate is held per second."""
    assert parse_per_second(text) == pytest.approx(per_second)


@pytest.mark.parametrize("text", ["10", "10/h", "/s", "-1/s", "10 per s", "1/ms"])
def test_what_is_no_rate(text: str) -> None:
    """A rate needs its time; the message gives examples."""
    with pytest.raises(ValueError, match="write a number and a unit: 10/s, 600/min"):
        parse_per_second(text)


@pytest.mark.parametrize(
    ("text", "bytes_per_s"),
    [
        ("500B/s", 500.0),
        # a kilobyte has 1000 bytes
        ("2kB/s", 2000.0),
        ("1.5 MB / s", 1_500_000.0),
    ],
)
def test_bandwidths(text: str, bytes_per_s: float) -> None:
    """A bandwidth is held in bytes per second."""
    assert parse_bytes_per_second(text) == pytest.approx(bytes_per_s)


@pytest.mark.parametrize("text", ["2000", "2kB", "2kb/s", "2kbit/s", "2KiB/s", "-1B/s", "1kB/min"])
def test_what_is_no_bandwidth(text: str) -> None:
    """Bits are not bytes, and a bandwidth needs its time; the message gives examples."""
    with pytest.raises(ValueError, match="write a number and a unit: 500B/s, 2kB/s, 1MB/s"):
        parse_bytes_per_second(text)


@pytest.mark.parametrize(("text", "share"), [("0%", 0.0), ("50%", 0.5), ("12.5 %", 0.125), ("100%", 1.0)])
def test_shares(text: str, share: float) -> None:
    """A share is held as 0..1."""
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["0.5", "50", "101%", "-1%", "%"])
def test_what_is_no_share(text: str) -> None:
    """A share is a percentage from 0 to 100."""
    with pytest.raises(ValueError, match="write a percentage from 0% to 100%"):
        parse_share(text)


@pytest.mark.parametrize("unit", PARSERS)
def test_every_example_in_a_message_is_right(unit: str) -> None:
    """Whoever copies an example from a message gets no second message."""
    for example in EXAMPLES[unit].split(", "):
        assert PARSERS[unit](example) > 0
