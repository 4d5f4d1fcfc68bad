"""What a check is: a pure function from measurements to a finding, or to None when it does not apply.

Each module of this package that defines `CHECK` is one check. Validity checks come first: a drill that proved
nothing has no verdict on the gateway.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from drills.measure import Measured
from drills.request import Request
from drills.result import CheckPart


@dataclass(frozen=True)
class Check:
    """A check. `order` sorts reports: below 100 validity, from 100 on expectations."""

    name: str
    order: int
    judge: Callable[[Measured], CheckPart | None]


@cache
def checks() -> tuple[Check, ...]:
    """Every check, in order."""
    package = importlib.import_module("drills.checks")
    modules = [
        importlib.import_module(f"drills.checks.{module.name}") for module in pkgutil.iter_modules(package.__path__)
    ]
    found: list[Check] = [module.CHECK for module in modules if hasattr(module, "CHECK")]
    return tuple(sorted(found, key=lambda check: check.order))


def cite(requests: list[Request], at_most: int = 10) -> tuple[str, ...]:
    """Evidence: the requests that prove a finding, by number, with what became of them."""
    cited = [f"request {r.seq}: {'slow' if r.slow else r.outcome.value}{_detail(r)}" for r in requests[:at_most]]
    if len(requests) > at_most:
        cited.append(f"and {len(requests) - at_most} more")
    return tuple(cited)


def _detail(request: Request) -> str:
    legs = " -> ".join(f"{attempt.leg} {attempt.result}" for attempt in request.attempts)
    took = f" after {request.latency_s:.2f} s" if request.latency_s is not None else ""
    said = f", {request.done.detail}" if request.done is not None and request.done.detail else ""
    return f"{took}{f' ({legs})' if legs else ''}{said}"
