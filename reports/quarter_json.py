"""`quarter-2026Q4.json`: every number of the quarter, with the plan and the register that they rest on. Pure."""

from __future__ import annotations

from drills.quarter.result import encode
from reports.base import QuarterFormat

QUARTER = QuarterFormat(name="json", ending="json", about="the whole result, for other tools", render=encode)
