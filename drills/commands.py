"""What the commands do: each takes what was written, hands it on, prints what came of it, and returns the exit code.

Importing this module imports nothing heavy: every command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from drills.printing import print_summary, show
from drills.problems import EXIT_INVALID, UsageProblem

if TYPE_CHECKING:
    from drills.job import Job
    from drills.screen import Screen
    from drills.verdict import Judged

RESULTS = "drill-results"


def run(args: argparse.Namespace) -> int:
    """Run a drill: the exit code of its verdict."""
    from drills import screen as screens  # noqa: PLC0415  heavy, and only for this command
    from drills.evidence import sealed_line, signer_of  # noqa: PLC0415
    from drills.files import keep  # noqa: PLC0415
    from drills.prepare import job_of  # noqa: PLC0415

    signer = signer_of(args.sign)

    out: TextIO = sys.stderr if args.json else sys.stdout
    with screens.make(out) as screen:
        job = job_of(args, screen.say, secrets.token_hex(16))
        judged = _run_job(job, screen)
        result, lost, sealed = judged.result, None, ""
        try:
            keep(job.folder, judged)
            sealed = sealed_line(job.folder, signer)
        except OSError as error:
            lost = error  # the verdict is known all the same
        _keep(job, screen)
    if args.json:
        from drills.result import encode  # noqa: PLC0415

        sys.stdout.write(encode(result).decode())
    else:
        print_summary(result, job.folder, out)
    if lost is not None:
        raise lost
    show(sealed, out)
    return result.exit_code


def _run_job(job: Job, screen: Screen) -> Judged:
    from drills import run as runner  # noqa: PLC0415
    from drills.recomputing import judged_in  # noqa: PLC0415

    try:
        runner.run(job, screen.take, screen.say)
    except runner.RunInterrupted as why:
        screen.say(f"{why}; everything is restored")
    except UsageProblem:
        shutil.rmtree(job.folder, ignore_errors=True)
        raise
    return judged_in(job.folder)


def _keep(job: Job, screen: Screen) -> None:
    from drills.index import refresh  # noqa: PLC0415

    if trouble := refresh(job.folder.parent):
        screen.say(f"note: {trouble}")


def gate(args: argparse.Namespace) -> int:
    """Hold a head against its base: the exit code of the judgement."""
    from drills.gate import command  # noqa: PLC0415
    from drills.gate.result import encode  # noqa: PLC0415
    from reports import gate as report  # noqa: PLC0415

    if args.summary is not None:
        if not args.summary.absolute().parent.is_dir():
            raise UsageProblem(f"--summary {args.summary}: no such folder: {args.summary.parent}")
        try:
            args.summary.open("ab").close()
        except OSError as error:
            raise UsageProblem(f"--summary {args.summary}: cannot be written: {error.strerror}") from error
    result = command.gate(args, lambda line: show(line, sys.stderr))
    try:
        if args.json:
            sys.stdout.write(encode(result).decode())
        else:
            show(report.text(result), sys.stdout)
        if args.annotations:
            root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
            # The annotations are no part of the JSON, and GitHub reads them wherever a step prints them.
            print("\n".join(report.github(result, root)), file=sys.stderr if args.json else sys.stdout)
        sys.stdout.flush()
        if args.summary is not None:
            with args.summary.open("ab") as file:
                file.write(report.markdown(result))
    except OSError as error:
        # What nobody could be told is no less red: a full disk must not turn 1 into a code that lets a change through.
        _silence_stdout()
        show(f"drill: {report.verdict(result)}; it cannot be written: {error.strerror}", sys.stderr)
        return result.exit_code or EXIT_INVALID
    return result.exit_code


def _silence_stdout() -> None:
    """Send what is still in the buffer nowhere: the interpreter would try to write it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def plan(args: argparse.Namespace) -> int:
    """Print legs and timeline."""
    from drills.prepare import plan_text  # noqa: PLC0415

    show(plan_text(args), sys.stdout, as_json=args.json)
    return 0


def validate(args: argparse.Namespace) -> int:
    """Print what is wrong with scenario files."""
    from drills.prepare import validate_text  # noqa: PLC0415

    code, text = validate_text(args.scenarios, args.json)
    show(text, sys.stdout, as_json=args.json)
    return code


def check(args: argparse.Namespace) -> int:
    """Judge a run again: the exit code of its verdict, or of an invalid drill where its files say another."""
    from drills.files import recheck  # noqa: PLC0415

    result, agrees, why = recheck(args.folder)
    if not agrees:
        show(f"drill: {why}; judged from the history alone:", sys.stderr)
    if args.json:
        from drills.result import encode  # noqa: PLC0415

        sys.stdout.write(encode(result).decode())
    else:
        print_summary(result, args.folder, sys.stdout)
    if not agrees:
        return EXIT_INVALID
    return result.exit_code


def verify(args: argparse.Namespace) -> int:
    """Print what is not what was sealed."""
    from drills import evidence  # noqa: PLC0415

    paths = args.paths or [Path(RESULTS)]
    code, text = evidence.verify_text(paths, args.key, args.head, args.runs, as_json=args.json)
    show(text, sys.stdout, as_json=args.json)
    return code


def seal(args: argparse.Namespace) -> int:
    """Seal or sign runs."""
    from drills import evidence  # noqa: PLC0415

    show(evidence.seal_text(args.paths or [Path(RESULTS)], args.sign), sys.stdout)
    return 0


def report(args: argparse.Namespace) -> int:
    """Write the reports of a run or of a quarter."""
    from drills import reporting  # noqa: PLC0415

    if args.quarter is not None:
        return _report_quarter(args)
    given = [
        f"--{name.replace('_', '-')}" for name in ("runs", "plan", "findings", "update_findings") if getattr(args, name)
    ]
    if given:
        raise UsageProblem(f"{', '.join(given)}: only with --quarter")
    if args.folder is None:
        raise UsageProblem(
            "name the folder of a run, or a quarter: `drill report DIR`, `drill report --quarter 2026Q4`"
        )
    reporting.make(args.folder, args.formats or ["html"], args.out, lambda line: show(line, sys.stderr))
    return 0


def _report_quarter(args: argparse.Namespace) -> int:
    from drills.quarter import command  # noqa: PLC0415

    if args.folder is not None:
        raise UsageProblem(f"{args.folder}: a quarter takes no run; --runs DIR says where they are")
    asked = command.Asked(
        quarter=args.quarter,
        runs=args.runs or Path(RESULTS),
        plan=args.plan,
        findings=args.findings,
        update=args.update_findings,
        formats=args.formats or (),
        out=None if args.out is None else Path(args.out),
    )
    command.make(asked, lambda line: show(line, sys.stderr))
    return 0


def history(args: argparse.Namespace) -> int:
    """Print the list of the runs that are kept."""
    from drills import keeping  # noqa: PLC0415

    show(keeping.list_text(args.results, as_json=args.json), sys.stdout, as_json=args.json)
    return 0


def history_import(args: argparse.Namespace) -> int:
    """Take in runs from elsewhere."""
    from drills import keeping  # noqa: PLC0415

    code, text = keeping.import_text(args.results, args.sources)
    show(text, sys.stdout)
    return code


def history_prune(args: argparse.Namespace) -> int:
    """Remove old runs, or say which would be."""
    from drills import keeping  # noqa: PLC0415

    show(keeping.prune_text(args.results, args.keep, really=args.yes), sys.stdout)
    return 0


def setup(_args: argparse.Namespace) -> int:
    """Install what only some drills need."""
    from drills import toxiproxy_install  # noqa: PLC0415

    found = toxiproxy_install.prepare(lambda line: print(line, file=sys.stderr), os.environ)
    print(f"Toxiproxy {found.version}: {found.server} ({found.origin})")
    return 0


def doctor(args: argparse.Namespace) -> int:
    """Print what is there, and what is missing."""
    from drills import doctor  # noqa: PLC0415

    print(doctor.render(doctor.look(os.environ), as_json=args.json))
    return 0


def listing(args: argparse.Namespace) -> int:
    """Print what there is of a kind."""
    from drills.prepare import list_text  # noqa: PLC0415

    print(list_text(args.what, args.json))
    return 0
