"""What a report is: a pure function from a judged run to bytes.

Each module of this package that defines `FORMAT` is one. It imports the library that writes its format only when it
writes, so that a report that nobody asked for costs nothing, and one whose library is missing says so.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from drills.problems import UsageProblem, choices
from drills.quarter.result import QuarterResult
from drills.result import Result
from drills.verdict import Judged


@dataclass(frozen=True)
class Format:
    """A format of the run report.

    name: as the command line calls it. file: its name in the run's folder. about: one sentence.
    render: raises `UsageProblem` when a library is missing. kept: whether every run writes it beside its history;
    its bytes then depend on the history alone, and `drill check` compares them.
    """

    name: str
    file: str
    about: str
    render: Callable[[Judged], bytes]
    kept: bool = False


def of_result(render: Callable[[Result], bytes]) -> Callable[[Judged], bytes]:
    """For a format that is made of the result alone."""
    return lambda run: render(run.result)


@cache
def formats() -> dict[str, Format]:
    """Every format, by name, in alphabetical order."""
    found: list[Format] = [module.FORMAT for module in _modules() if hasattr(module, "FORMAT")]
    return {one.name: one for one in sorted(found, key=lambda one: one.name)}


def _modules() -> list[ModuleType]:
    package = importlib.import_module("reports")
    return [importlib.import_module(f"reports.{module.name}") for module in pkgutil.iter_modules(package.__path__)]


def get(name: str) -> Format:
    """The format of that name. Raises `UsageProblem` with the closest match when there is none."""
    found = formats()
    if name not in found:
        raise UsageProblem(f"no report format {name!r}; {choices(name, found)}")
    return found[name]


@dataclass(frozen=True)
class QuarterFormat:
    """A format of the quarterly report: each module of this package that defines `QUARTER` is one.

    name: as the command line calls it. ending: of its file. about: one sentence. render: raises `UsageProblem` when a
    library is missing.
    """

    name: str
    ending: str
    about: str
    render: Callable[[QuarterResult], bytes]


@cache
def quarter_formats() -> dict[str, QuarterFormat]:
    """Every format of the quarterly report, by name, in alphabetical order."""
    found: list[QuarterFormat] = [module.QUARTER for module in _modules() if hasattr(module, "QUARTER")]
    return {one.name: one for one in sorted(found, key=lambda one: one.name)}


def quarter_format(name: str) -> QuarterFormat:
    """The format of that name. Raises `UsageProblem` with the closest match when there is none."""
    found = quarter_formats()
    if name not in found:
        raise UsageProblem(f"no format {name!r} of the quarterly report; {choices(name, found)}")
    return found[name]


def missing(format_: str, library: str, extra: str, why: str = "") -> UsageProblem:
    """What to say when the library of a format is not there."""
    return UsageProblem(
        f"--format {format_} needs {library}{f' ({why})' if why else ''}: "
        f"`pip install 'failover-drill[{extra}]'`, in the environment of `drill`"
    )
