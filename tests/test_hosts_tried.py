"""What the gateway tried and could not reach stands in the result and in both reports, and is harmless there."""

from __future__ import annotations

from calibration.story import history
from network_harness import private_network

from drills.events import MORE_HOSTS, HostTried, HowTried
from drills.result import decode, encode
from drills.verdict import judge
from reports import markdown, text, words

SECTION = "## Hosts that the gateway tried and could not reach"
TRIED = (
    HostTried(at_s=1.5, host="telemetry.example.com", how=HowTried.LOOKED_UP),
    HostTried(at_s=1.6, host="169.254.169.254", port=80, how=HowTried.TCP),
    HostTried(at_s=1.6, host="2001:db8::5", port=53, how=HowTried.UDP),
    HostTried(at_s=1.7, host="evil|`<b>[x](http://y)\x1b[31m", how=HowTried.ASKED_FOR, port=443),
)


def test_a_drill_without_tries_has_no_such_section() -> None:
    """The usual report is not longer for it."""
    result = judge(history("ppp[xxsss]spp"), "history")
    assert result.hosts_tried == ()
    assert SECTION not in markdown.render(result).decode()
    assert not [line for line in text.render(result, "here") if "tried" in line.text]


def test_the_result_and_both_reports_name_each_host() -> None:
    """In the order in which they were tried; the result survives its file."""
    events = history("ppp[xxsss]spp")
    result = judge([*events[:-1], *TRIED, events[-1]], "history")
    assert [(part.host, part.port, part.how) for part in result.hosts_tried] == [
        (tried.host, tried.port, tried.how) for tried in TRIED
    ]
    assert decode(encode(result)).hosts_tried == result.hosts_tried
    page = markdown.render(result).decode().partition(SECTION)[2].partition("\n## ")[0]
    assert "| telemetry.example.com | looked up | 1.50 s |" in page
    assert "| 169.254.169.254:80 | tcp | 1.60 s |" in page
    assert "2001:db8::5" in page
    assert [words.host_tried(part) for part in result.hosts_tried][2] == "[2001:db8::5]:53"
    [line] = [line.text for line in text.render(result, "here") if line.text.startswith("tried and not reached: ")]
    assert "telemetry.example.com, 169.254.169.254:80" in line


def test_a_port_of_the_machine_itself_is_listed_by_name() -> None:
    """As it comes from a private network in which a program tried a database."""
    events = history("ppp[xxsss]spp")
    with private_network() as network:
        assert network.run("import socket; print(socket.socket().connect_ex(('127.0.0.1', 5432)))").out == "111\n"
    [told] = [one for one in network.told if isinstance(one, HostTried)]
    result = judge([*events[:-1], told, events[-1]], "history")
    page = markdown.render(result).decode().partition(SECTION)[2].partition("\n## ")[0]
    assert "| localhost:5432 | tcp | " in page
    [line] = [line.text for line in text.render(result, "here") if line.text.startswith("tried and not reached: ")]
    assert line.endswith(": localhost:5432")


def test_what_a_gateway_calls_a_host_is_hostile() -> None:
    """No tag, no link, no cell of its own and no escape sequence comes out of a name."""
    events = history("ppp[xxsss]spp")
    result = judge([*events[:-1], *TRIED, events[-1]], "history")
    page = markdown.render(result).decode().partition(SECTION)[2].partition("\n## ")[0]
    assert "<b>" not in page
    assert "[x](" not in page
    assert "\x1b" not in page + "".join(line.text for line in text.render(result, "here"))
    assert all(row.replace("\\|", "").count("|") == 4 for row in page.splitlines() if row.startswith("|"))


def test_more_than_can_be_listed_is_said() -> None:
    """The last row stands for all others."""
    events = history("ppp[xxsss]spp")
    more = HostTried(at_s=2.0, host=MORE_HOSTS, how=HowTried.LOOKED_UP)
    result = judge([*events[:-1], more, events[-1]], "history")
    assert "too many to be written down" in markdown.render(result).decode()
