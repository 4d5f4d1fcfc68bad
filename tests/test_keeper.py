"""The keeper and the runner's side of child processes: whatever happens to the drill, nothing of it stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from drills.children import END_WAIT_S, Child, ChildLostError
from drills.keeper import GRACE_S, Keep

pytestmark = pytest.mark.clock

COMMAND = [sys.executable, "-P", "-m", "drills.keeper"]
WAIT_S = 10.0
"""For what is expected soon, on a busy machine."""
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal and /proc")

STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), flush=True)
if os.fork() == 0:
    print(os.getpid(), flush=True)
time.sleep(60)
"""
"""A program with a child of its own; both ignore SIGTERM."""

DAEMON = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), flush=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(60)
    os._exit(0)
os.wait()
time.sleep(60)
"""
"""A program with a daemon: an orphan in a session of its own, which holds the program's output and ignores SIGTERM."""


def until(condition: Callable[[], Any]) -> None:
    """Wait for what is expected soon."""
    end_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end_s, "it did not come true in time"
        time.sleep(0.01)


def running(pid: int) -> bool:
    """Whether a process runs: it exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def parent(pid: int) -> int:
    """The parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """Where the private folder shall be."""
    return tmp_path / "private"


def keep(private: Path, *argv: str) -> Keep:
    """A command to keep, with two private files."""
    files = {str(private / "config.yaml"): "key: geheim-é\n", str(private / "deep" / "er" / "cert"): "x"}
    return Keep(argv=argv, env={"NAME": "value"}, cwd=str(private), private=str(private), files=files)


def program(code: str) -> tuple[str, ...]:
    """The command that runs some Python."""
    return (sys.executable, "-c", textwrap.dedent(code))


@pytest.fixture
def start() -> Iterator[Callable[[Keep], subprocess.Popen[bytes]]]:
    """Starts keepers, as the runner does; whatever is left of them dies with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(what: Keep) -> subprocess.Popen[bytes]:
        keeper = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env={**os.environ}
        )
        started.append(keeper)
        assert keeper.stdin is not None
        keeper.stdin.write(msgspec.json.encode(what) + b"\n")
        keeper.stdin.flush()
        return keeper

    yield begin
    for keeper in started:
        keeper.kill()
        keeper.wait()
        for pipe in (keeper.stdin, keeper.stdout):
            assert pipe is not None
            pipe.close()


Start = Callable[[Keep], "subprocess.Popen[bytes]"]


def numbers(keeper: subprocess.Popen[bytes], count: int) -> list[int]:
    """So many process ids, a line each, from the program's output."""
    assert keeper.stdout is not None
    return [int(keeper.stdout.readline()) for _ in range(count)]


def close(keeper: subprocess.Popen[bytes]) -> int:
    """Close the keeper's input and wait for it; its exit code."""
    assert keeper.stdin is not None
    keeper.stdin.close()
    return keeper.wait(WAIT_S)


@linux
def test_the_end_of_input_ends_the_whole_group_and_the_folder(start: Start, private: Path) -> None:
    """A program and its child that ignore SIGTERM are killed after the grace; the folder with its secrets is gone."""
    keeper = start(keep(private, *program(STUBBORN)))
    pids = numbers(keeper, 2)
    assert all(running(pid) for pid in pids)
    assert (private / "config.yaml").exists()
    began_s = time.monotonic()
    assert close(keeper) == 128 + signal.SIGKILL
    assert GRACE_S <= time.monotonic() - began_s < GRACE_S + 5
    until(lambda: not any(running(pid) for pid in pids))
    assert not private.exists()


def test_a_program_that_obeys_is_not_waited_for(start: Start, private: Path) -> None:
    """SIGTERM comes first, and a program that ends on it can say its last words."""
    code = """
        import os, signal, time
        def end(*_):
            os.write(1, b"bye\\n")  # print cannot be entered twice, and the signal may come in its flush
            os._exit(3)
        signal.signal(signal.SIGTERM, end)
        print("hello", flush=True)
        time.sleep(60)
    """
    keeper = start(keep(private, *program(code)))
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == b"hello\n"
    began_s = time.monotonic()
    assert close(keeper) == 3
    assert time.monotonic() - began_s < GRACE_S
    assert keeper.stdout.read() == b"bye\n"
    assert not private.exists()


@linux
def test_a_program_that_ends_by_itself_leaves_no_child(start: Start, private: Path) -> None:
    """The exit code is passed on; a child that it left behind in its group is ended, and the folder is deleted."""
    code = """
        import os, sys, time
        if os.fork() == 0:
            print(os.getpid(), flush=True)
            time.sleep(60)
        time.sleep(0.3)
        os._exit(5)
    """
    keeper = start(keep(private, *program(code)))
    (pid,) = numbers(keeper, 1)
    assert keeper.wait(WAIT_S) == 5
    until(lambda: not running(pid))
    assert not private.exists()


@linux
def test_the_end_of_input_ends_a_daemon(start: Start, private: Path) -> None:
    """No signal to a group reaches it; the keeper is its parent by then, and kills it."""
    keeper = start(keep(private, *program(DAEMON)))
    _, daemon = numbers(keeper, 2)
    until(lambda: parent(daemon) == keeper.pid)
    assert os.getsid(daemon) != os.getsid(keeper.pid)
    began_s = time.monotonic()
    assert close(keeper) == 128 + signal.SIGKILL
    assert time.monotonic() - began_s < GRACE_S + 2
    assert not running(daemon)
    assert not private.exists()


@linux
def test_a_program_that_ends_by_itself_leaves_no_daemon(start: Start, private: Path) -> None:
    """Whoever daemonises has not started, as far as the drill is concerned: it ends with its first process."""
    keeper = start(keep(private, *program(DAEMON.removesuffix("time.sleep(60)\n"))))
    _, daemon = numbers(keeper, 2)
    assert keeper.wait(WAIT_S) == 0
    assert not running(daemon)


@linux
def test_orphans_that_end_are_let_go(start: Start, private: Path) -> None:
    """A gateway that starts many short programs does not fill the table of processes."""
    code = """
        import os, time
        for _ in range(20):
            if os.fork() == 0:
                if os.fork() == 0:
                    time.sleep(0.1)
                os._exit(0)
            os.wait()
        print(os.getpid(), flush=True)
        time.sleep(60)
    """
    keeper = start(keep(private, *program(code)))
    (pid,) = numbers(keeper, 1)
    until(lambda: Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text().split() == [str(pid)])
    assert close(keeper) == 128 + signal.SIGTERM


def test_private_files_are_private(start: Start, private: Path) -> None:
    """Folders 0700, files 0600, whatever the umask; the content as it was given; the environment is the one given."""
    code = "import os; print(os.environ['NAME'], 'PATH' in os.environ, os.getcwd()); input()"
    old = os.umask(0)
    try:
        keeper = start(keep(private, *program("import time; print('up', flush=True); time.sleep(60)")))
    finally:
        os.umask(old)
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == b"up\n"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    for name, content in (("config.yaml", "key: geheim-é\n"), ("deep/er/cert", "x")):
        assert stat.S_IMODE((private / name).stat().st_mode) == 0o600
        assert (private / name).read_text(encoding="utf-8") == content
    close(keeper)
    keeper = start(keep(private, *program(code)))
    assert keeper.stdout is not None
    assert keeper.stdout.readline().decode().split() == ["value", "False", str(private)]
    # Its standard input is empty: the program must not read the drill's.
    assert keeper.wait(WAIT_S) == 1


def test_a_command_that_cannot_be_started(start: Start, private: Path, tmp_path: Path) -> None:
    """No such command, or one that may not be executed: one clear line, exit code 127, and no folder left."""
    (tmp_path / "gateway").touch(mode=0o600)
    for command, why in (
        ("no-such-gateway", "No such file or directory"),
        (f"{tmp_path}/gateway", "Permission denied"),
    ):
        keeper = start(keep(private, command, "--port"))
        assert keeper.wait(WAIT_S) == 127
        assert keeper.stdout is not None
        assert keeper.stdout.read().decode() == f"cannot start {command}: {why}: {command}\n"
        assert not private.exists()


def test_a_folder_that_was_there_before_is_left_alone(start: Start, private: Path) -> None:
    """The keeper neither uses nor deletes what it did not make."""
    private.mkdir()
    (private / "thesis").write_text("years of work")
    keeper = start(keep(private, *program("print('started')")))
    assert keeper.wait(WAIT_S) == 127
    assert keeper.stdout is not None
    assert f"File exists: {private}" in keeper.stdout.read().decode()
    assert (private / "thesis").read_text() == "years of work"


def test_signals_do_not_end_the_keeper(start: Start, private: Path) -> None:
    """Ctrl-C is the drill's to handle: the keeper waits for the end of its input. Its program gets signals as usual."""
    code = "import signal; print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, flush=True); signal.pause()"
    keeper = start(keep(private, *program(code)))
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == b"True\n"
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        keeper.send_signal(sig)
    time.sleep(0.3)
    assert keeper.poll() is None
    assert close(keeper) == 128 + signal.SIGTERM


@linux
def test_a_keeper_that_is_killed_takes_the_program_along(start: Start, private: Path) -> None:
    """By the kernel's parent-death signal. Its children and the folder stay: nobody is left to end them."""
    keeper = start(keep(private, *program("import os, time; print(os.getpid(), flush=True); time.sleep(60)")))
    (pid,) = numbers(keeper, 1)
    keeper.send_signal(signal.SIGKILL)
    until(lambda: not running(pid))


PARENT = """
import asyncio, sys
import msgspec
from drills.children import Child
from drills.keeper import Keep

async def main():
    keep = msgspec.json.decode(sys.argv[1], type=Keep)
    child = await Child.start("gateway", "drills.keeper", keep)
    child.listen(lambda line: print(line.decode(), end="", flush=True), lambda words: None)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@linux
@pytest.mark.parametrize("code", [STUBBORN, DAEMON], ids=["stubborn", "daemon"])
def test_a_drill_that_is_killed_leaves_nothing(code: str, private: Path) -> None:
    """SIGKILL of the runner: the keeper ends the program and what came from it, a daemon too, and deletes the secrets,
    within the grace.
    """
    line = msgspec.json.encode(keep(private, *program(code))).decode()
    with subprocess.Popen([sys.executable, "-c", PARENT, line], stdout=subprocess.PIPE) as parent:
        pids = numbers(parent, 2)
        assert (private / "config.yaml").exists()
        parent.send_signal(signal.SIGKILL)
        killed_s = time.monotonic()
        until(lambda: not any(running(pid) for pid in pids))
        until(lambda: not private.exists())
        assert time.monotonic() - killed_s < GRACE_S + 5


def talk_until_killed(what: Keep) -> tuple[list[bytes], list[str], float]:
    """Run a keeper as the runner does, and kill it: lines that it passed on, last words, and how long its end took."""

    async def run() -> tuple[list[bytes], list[str], float]:
        lines: list[bytes] = []
        words: list[str] = []
        child = await Child.start("gateway", "drills.keeper", what)
        up = asyncio.Event()

        def hear(line: bytes) -> None:
            lines.append(line)
            up.set()

        child.listen(hear, words.append)
        async with asyncio.timeout(WAIT_S):
            await up.wait()
        child.ending = True
        os.kill(child.pid, signal.SIGKILL)
        began_s = time.monotonic()
        await child.end()
        assert not child.alive
        return lines, words, time.monotonic() - began_s

    return asyncio.run(run())


@linux
def test_a_daemon_that_holds_the_pipe_does_not_hold_the_drill(private: Path) -> None:
    """Nobody is left to end it when the keeper itself was killed. It keeps the output open for ever; the drill's end
    does not wait for it.
    """
    code = """
        import os, time
        if os.fork() == 0:
            os.setsid()
            print(os.getpid(), flush=True)
        time.sleep(60)
    """
    lines, words, took_s = talk_until_killed(keep(private, *program(code)))
    os.kill(int(lines[0]), signal.SIGKILL)
    assert took_s < END_WAIT_S
    assert words == []


def test_a_line_without_end_is_dropped(private: Path) -> None:
    """Nine megabytes without a line break are no reason to stop listening."""
    code = """
        import sys, time
        sys.stdout.write("x" * 9_000_000 + "\\n" + "done\\n")
        sys.stdout.flush()
        time.sleep(60)
    """

    async def run() -> None:
        child = await Child.start("gateway", "drills.keeper", keep(private, *program(code)))
        done = asyncio.Event()
        child.listen(lambda line: done.set() if line.endswith(b"done\n") else None, print)
        async with asyncio.timeout(WAIT_S):
            await done.wait()
        await child.end()

    asyncio.run(run())


def test_a_child_that_says_nothing() -> None:
    """The last line of its error output says why it ended at its start."""

    async def run() -> None:
        child = await Child.start("simulator", "drills.simulator", Keep(argv=(), env={}, cwd="", private="", files={}))
        with pytest.raises(ChildLostError, match=r"the simulator ended at its start: simulator: .*unknown field"):
            await child.first_line(WAIT_S)
        await child.end()
        assert child.returncode == 2

    asyncio.run(run())
