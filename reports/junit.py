"""`junit.xml`: each check a test case, for CI systems that show test results. Pure.

A check that failed is a failure, with what to do about it. One that could not judge (invalid, inconclusive, crashed) is
an error: the drill says nothing about the gateway, and a CI system must not show that as green.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from drills.result import CheckPart, Result, Verdict
from reports.base import Format, of_result
from reports.escape import plain
from reports.words import sentence


def render(result: Result) -> bytes:
    """The whole file."""
    name = plain(result.scenario.name)
    cases = [_case(result, part) for part in result.checks]
    if result.verdict is Verdict.INTERRUPTED:
        cases.append(_interrupted(result))
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": "0",
        "time": f"{result.duration_s:.3f}",
    }
    suites = Element("testsuites", {"name": "failover-drill"} | counts)
    suite = SubElement(suites, "testsuite", {"name": name, "timestamp": plain(result.started_at)} | counts)
    properties = SubElement(suite, "properties")
    for key, value in _properties(result):
        SubElement(properties, "property", {"name": key, "value": plain(value)})
    suite.extend(cases)
    SubElement(suite, "system-out").text = plain(f"{result.verdict.upper()}: {sentence(result)}", 1000)
    indent(suites)
    written: bytes = tostring(suites, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


FORMAT = Format(
    name="junit", file="junit.xml", about="JUnit XML: each check a test case", render=of_result(render), kept=True
)


def _case(result: Result, part: CheckPart) -> Element:
    case = _named(result, part.name)
    if part.verdict is not Verdict.PASS:
        kind = "failure" if part.verdict is Verdict.FAIL else "error"
        found = SubElement(case, kind, {"type": part.verdict.value, "message": plain(part.observed)})
        lines = [f"expected: {part.expected}", f"observed: {part.observed}"]
        lines += [f"what to do: {part.advice}"] if part.advice else []
        lines += [f"evidence: {cited}" for cited in part.evidence]
        found.text = "\n".join(plain(line, 2000) for line in lines)
    return case


def _interrupted(result: Result) -> Element:
    case = _named(result, "ran to its end")
    said = plain("; ".join(result.reasons), 2000)
    SubElement(case, "error", {"type": result.verdict.value, "message": said}).text = said
    return case


def _named(result: Result, name: str) -> Element:
    where = plain(f"{result.gateway.name}.{result.scenario.name}")
    return Element("testcase", {"classname": where, "name": plain(name), "time": "0"})


def _properties(result: Result) -> Iterable[tuple[str, str]]:
    yield "verdict", result.verdict.value
    yield "gateway", f"{result.gateway.name} {result.gateway.version}".strip()
    yield "config_sha256", result.gateway.config_sha256
    yield "scenario_sha256", result.scenario.sha256
    yield "seed", str(result.seed)
    for found in result.switchovers:
        if found.recovery_s is not None and found.resolution_s is not None:
            yield f"recovery_s {plain(found.fault)}", f"{found.recovery_s:.3f}"
            yield f"resolution_s {plain(found.fault)}", f"{found.resolution_s:.3f}"
    for back in result.failbacks:
        if back.failback_s is not None:
            yield f"failback_s {plain(back.fault)}", f"{back.failback_s:.3f}"
