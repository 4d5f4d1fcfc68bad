"""The quarterly report's numbers: `assemble` makes them, `reports/quarter_*.py` show them.

Everything here is pure but `reading.py` and `command.py`.
"""

from drills.quarter.assembling import assemble

__all__ = ["assemble"]
