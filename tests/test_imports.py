"""The walls of the house: who may import whom, and what the command line must not load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import drills
import faults
import reports

RUNNER = {
    "drills.run",
    "drills.timeline",
    "drills.undertest",
    "drills.cli",
    "drills.arguments",
    "drills.commands",
    "drills.printing",
    "drills.load",
    "drills.client",
    "drills.network",
    "drills.planes",
    "drills.gatewayplane",
    "drills.doctor",
    "drills.toxiproxy_install",
    "drills.installing",
    "drills.preflight",
    "drills.proofs",
    "drills.proving",
    "drills.prepare",
    "drills.children",
    "drills.screen",
    "drills.files",
    "drills.reporting",
    "drills.keeping",
    "drills.kept",
    "drills.index",
    "drills.importing",
    "drills.retention",
    "drills.authority",
    "drills.trust",
    "drills.ports",
    "drills.driving",
    "drills.tested",
    "drills.gate.command",
    "drills.gate.runs",
    "drills.gate.sides",
    "drills.quarter.reading",
    "drills.quarter.command",
    "drills.quarter.seals",
}
PURE_OF_GATE = ("compare", "trials", "agenda", "touching", "words", "result")
IO = {"asyncio", "socket", "subprocess", "time", "threading", "httpx", "aiohttp"}
PURE = (
    *("marks", "touched", "legs", "plan", "outcomes", "ledger", "request", "inferred", "switchover", "failback"),
    *("faultrecord", "onthewire", "outage", "measure", "verdict", "result", "planeurls", "unmarked"),
    *(
        "people",
        "events",
        "chat",
        "problems",
        "units",
        "scenario",
        "scenariofile",
        "targets",
        "binding",
        "until",
        "address",
        "routes",
    ),
)


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _files(package: object) -> list[Path]:
    return sorted(Path(next(iter(package.__path__))).rglob("*.py"))  # type: ignore[attr-defined]


def test_faults_and_reports_never_import_the_runner() -> None:
    """A fault and a report stand on data alone."""
    guilty = {
        f"{path.name} imports {name}"
        for package in (faults, reports)
        for path in _files(package)
        for name in _imports(path) & RUNNER
    }
    assert guilty == set()
    assert len(_files(faults)) > 8  # the walk found the files


def test_what_is_pure_has_no_clock_and_no_socket() -> None:
    """Everything left and right of the run can be run again from its input."""
    folder = Path(next(iter(drills.__path__)))
    pure = [*PURE, *(f"gate/{name}" for name in PURE_OF_GATE), "gateways/changes"]
    files = [folder / f"{name}.py" for name in pure] + sorted((folder / "checks").glob("*.py"))
    files += [
        path for path in sorted((folder / "quarter").glob("*.py")) if path.stem not in {"reading", "command", "seals"}
    ]
    guilty = {f"{path.name} imports {name}" for path in files for name in _imports(path) & IO}
    assert guilty == set()


def test_help_loads_nothing_heavy() -> None:
    """`drill --help` answers at once."""
    code = (
        "import sys, drills.cli\n"
        "try:\n drills.cli.main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'mitmproxy', 'pandas', 'httpx', 'aiohttp', 'rich', 'yaml', 'msgspec', 'jinja2', 'weasyprint', 'sqlite3'}), "
        "file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "COMMAND" in done.stdout
