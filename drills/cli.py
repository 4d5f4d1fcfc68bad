"""The command line: reads what a person wrote (`arguments.py`), does it (`commands.py`), and ends with an exit code.

Importing this module imports nothing heavy: every command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from drills import commands
from drills.arguments import parser
from drills.printing import show
from drills.problems import EXIT_INVALID, EXIT_USAGE, UsageProblem

EXIT_INTERRUPTED = 130
_TRACEBACK = "FAILOVER_DRILL_TRACEBACK"


def main(argv: Sequence[str] | None = None) -> None:
    """The `drill` command. Ends the process with the exit code of the verdict, or 2 for wrong usage."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` wants it
            signal.signal(number, _as_interrupt)
    _fill_streams()
    code: int | None = 0  # help is all that is said before a command is known
    try:
        args = _read(argv)
        code = _always_well(args)
        code = args.command(args)
        sys.stdout.flush()
    except UsageProblem as problem:
        for one in problem.problems:
            show(f"drill: {one}", sys.stderr)
        code = EXIT_USAGE
    except KeyboardInterrupt:
        print("drill: interrupted", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (a pager, `head`); there is nobody left to tell. What was asked was done when
        # the code is known; where it is not, a drill may have been cut short.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_INTERRUPTED if code is None else code
    except OSError as error:
        # A disk that is full, a file that may not be written: the machine's fault, and no verdict on the gateway.
        where = f"{error.filename}: " if error.filename else ""
        show(f"drill: {where}{error.strerror or error}", sys.stderr)
        code = EXIT_INVALID
    except Exception as bug:  # told, and never with the exit code of a gateway that failed
        if os.environ.get(_TRACEBACK):
            raise
        what = f"{type(bug).__name__}: {bug}"
        show(f"drill: a bug of the tool, and no verdict: {what} ({_TRACEBACK}=1 shows where)", sys.stderr)
        code = EXIT_INVALID
    sys.exit(code)


def _fill_streams() -> None:
    """Send what would be said to a stream that was closed before we began (`>&-`) nowhere: Python has None for it."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123  until the end


def _always_well(args: argparse.Namespace) -> int | None:
    """The exit code of a command that only tells what there is; None for one that finds it out."""
    return 0 if args.command in {commands.plan, commands.history, commands.listing, commands.doctor} else None


def _as_interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _read(argv: Sequence[str] | None) -> argparse.Namespace:
    words, program = _split(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(words)
    if program is not None and not hasattr(args, "legs"):
        raise UsageProblem("only `drill run` and `drill plan` take a command after --")
    args.program = program
    return args


def _split(argv: Sequence[str]) -> tuple[list[str], tuple[str, ...] | None]:
    """The drill's own words, and the command behind the first `--`: None when there is no `--`."""
    words = list(argv)
    if "--" not in words:
        return words, None
    at = words.index("--")
    return words[:at], tuple(words[at + 1 :])


if __name__ == "__main__":
    main()
