"""Makes the gate's runs: each an ordinary drill, kept like any other. The only I/O of the gate besides its files."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from drills.events import AnyEvent
from drills.evidence import sealed_line
from drills.files import finish
from drills.gateways.base import Gateway, TakesProgram
from drills.index import refresh
from drills.prepare import job_of
from drills.problems import UsageProblem
from drills.result import Result
from drills.run import RunInterrupted, run

Say = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """One side: its config, None for the gateway's sample, and the program to run it with, empty for the usual one.

    version: of the gateway. hopeless: whether a phase may take every leg away, see `drills.targets.resolve`.
    """

    config: Path | None
    program: str = ""
    version: str = ""
    hopeless: bool = False


@dataclass(frozen=True)
class Setting:
    """What both sides share. gateway: as `--gateway` takes it; `adapter` is what that came to. out: for the folders."""

    gateway: str
    adapter: Gateway
    model: str | None
    route: str | None
    out: Path


def drill(scenario: str, subject: Subject, setting: Setting, seed: int, say: Say) -> tuple[Result, Path]:
    """One drill, to its end. Raises `UsageProblem` when it cannot be started, `KeyboardInterrupt` when it was stopped:
    everything is restored then, and what there is of the run is kept. say: what could not be kept of it.
    """
    args = argparse.Namespace(
        scenario=scenario,
        gateway=setting.gateway,
        config=subject.config,
        model=setting.model,
        route=setting.route,
        seed=seed,
        out=setting.out,
        port=None,
        legs=None,
        health=None,
        program=None,
        no_faults=False,
        hopeless=subject.hopeless,
    )
    # A run's event loop takes the signals and leaves them without our handler.
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)}
    with program_of(setting.adapter, subject):
        job = job_of(args, _unsaid, secrets.token_hex(16))
        try:
            run(job, _unseen, _unsaid)
        except RunInterrupted as why:
            finish(job.folder)
            sealed_line(job.folder, None)
            raise KeyboardInterrupt from why
        except UsageProblem:
            shutil.rmtree(job.folder, ignore_errors=True)
            raise
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
    result = finish(job.folder)
    if (sealed := sealed_line(job.folder, None)).startswith("note:"):
        say(sealed)
    if trouble := refresh(setting.out):
        say(f"note: {trouble}")
    return result, job.folder


@contextlib.contextmanager
def program_of(adapter: Gateway, subject: Subject) -> Iterator[None]:
    """The environment in which the adapter finds a side's own program."""
    if not subject.program:
        yield
        return
    if not isinstance(adapter, TakesProgram):
        raise UsageProblem(f"{adapter.name} cannot be told which program to run")
    name = adapter.program_variable
    before = os.environ.get(name)
    os.environ[name] = subject.program
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _unseen(_event: AnyEvent) -> None:
    """Nobody follows a run of the gate event by event."""


def _unsaid(_line: str) -> None:
    """Nor by its steps."""
