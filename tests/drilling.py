"""Running the tool as its users do: the installed command, in an empty folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from drills.result import Result, Verdict, decode

DRILL = [sys.executable, "-P", "-m", "drills.cli"]
SAMPLES = Path(__file__).parent.parent / "scenarios" / "litellm"


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    code: int
    out: str
    err: str
    folder: Path | None

    @property
    def result(self) -> Result:
        """The run's `result.json`."""
        assert self.folder is not None, f"no run folder; exit {self.code}: {self.err}"
        return decode((self.folder / "result.json").read_bytes())


def too_busy(result: Result) -> bool:
    """Whether a drill is invalid by its own word because the machine was too busy for it, and for no other reason:
    requests were sent late, or the plane was slow though nothing was wrong in it.
    """
    parts = [part for part in result.checks if part.verdict in {Verdict.INVALID, Verdict.UNKNOWN}]
    late = {part.name for part in parts if part.name == "load generator"}
    slow = {part.name for part in parts if part.name == "fault plane" and part.observed.endswith(" added, 0 troubles")}
    return result.verdict is Verdict.INVALID and {part.name for part in parts} == late | slow


def drill(*words: str | Path, cwd: Path, timeout_s: float = 240, env: dict[str, str] | None = None) -> Ran:
    """Run `drill` with these words in a folder."""
    done = subprocess.run(
        [*DRILL, *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**os.environ, **(env or {})},
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr, newest(cwd))


def start(*words: str | Path, cwd: Path, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start `drill` and go on."""
    return subprocess.Popen(
        [*DRILL, *map(str, words)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(env or {})},
    )


def runs(cwd: Path) -> list[Path]:
    """The run folders, oldest first; the index beside them is none."""
    return sorted(path for path in (cwd / "drill-results").glob("*") if path.is_dir())


def newest(cwd: Path) -> Path | None:
    """The run folder that was made last."""
    return folders[-1] if (folders := runs(cwd)) else None


def until_line(process: subprocess.Popen[str], word: str, within_s: float) -> None:
    """Read the process's output until a line holds a word."""
    assert process.stdout is not None
    until = time.monotonic() + within_s
    seen = []
    for line in process.stdout:
        seen.append(line)
        if word in line:
            return
        assert time.monotonic() < until, "".join(seen)
    raise AssertionError(f"ended without {word!r}: {''.join(seen)}")


def descendants(pid: int) -> set[int]:
    """All processes below a process, by /proc."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: set[int] = set()
    todo = [pid]
    while todo:
        for child in parents.get(todo.pop(), []):
            if child not in found:
                found.add(child)
                todo.append(child)
    return found


def alive(pids: set[int]) -> set[int]:
    """Those of the processes that still run (zombies do not)."""
    found = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            found.add(pid)
    return found


def listeners(pids: set[int]) -> set[int]:
    """Every TCP port that these processes listen on, by /proc."""
    owned = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = str(descriptor.readlink())
            except OSError:
                continue  # closed while we looked
            if target.startswith("socket:["):
                owned.add(target[8:-1])
    return {port for port, inode in _listening().items() if inode in owned}


def listened_on(ports: set[int]) -> set[int]:
    """Those of the ports that anybody listens on."""
    return ports & _listening().keys()


def _listening() -> dict[int, str]:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16): row[9] for row in rows if row[3] == "0A"}


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def gone(pids: set[int], within_s: float) -> set[int]:
    """Wait for processes to end; those that did not."""
    until = time.monotonic() + within_s
    while (left := alive(pids)) and time.monotonic() < until:
        time.sleep(0.1)
    return left


def interrupt(process: subprocess.Popen[str], sig: signal.Signals = signal.SIGINT) -> None:
    """Send a signal to the drill alone."""
    process.send_signal(sig)


def events(folder: Path) -> list[dict[str, object]]:
    """The raw history."""
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
