"""The command line. Reads what a person wrote, hands it on, prints what came of it.

Importing this module imports nothing heavy: every command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from drills import __version__
from drills.problems import EXIT_USAGE, UsageProblem
from drills.routes import Route

if TYPE_CHECKING:
    from drills.result import Result
    from drills.run import Job
    from drills.screen import Screen
    from drills.verdict import Judged

RESULTS = "drill-results"
EXIT_INVALID = 3
EXIT_INTERRUPTED = 130
_TRACEBACK = "FAILOVER_DRILL_TRACEBACK"
_LINE_AT_MOST = 2000
_SIGN = "sign with this Ed25519 key: PEM, or OpenSSH's own format"


def main(argv: Sequence[str] | None = None) -> None:
    """The `drill` command. Ends the process with the exit code of the verdict, or 2 for wrong usage."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        code = _dispatch(argv)
        sys.stdout.flush()
    except UsageProblem as problem:
        for one in problem.problems:
            _show(f"drill: {one}", sys.stderr)
        code = EXIT_USAGE
    except KeyboardInterrupt:
        print("drill: interrupted", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (a pager, `head`); there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_INTERRUPTED
    except OSError as error:
        # A disk that is full, a file that may not be written: the machine's fault, and no verdict on the gateway.
        where = f"{error.filename}: " if error.filename else ""
        _show(f"drill: {where}{error.strerror or error}", sys.stderr)
        code = EXIT_INVALID
    except Exception as bug:  # told, and never with the exit code of a gateway that failed
        if os.environ.get(_TRACEBACK):
            raise
        what = f"{type(bug).__name__}: {bug}"
        _show(f"drill: a bug of the tool, and no verdict: {what} ({_TRACEBACK}=1 shows where)", sys.stderr)
        code = EXIT_INVALID
    sys.exit(code)


def _show(text: str, out: TextIO, *, as_json: bool = False) -> None:
    """Print text with names in it that somebody else chose: a file's name may carry escape sequences. JSON has its own
    escapes.
    """
    from reports.escape import plain  # noqa: PLC0415  only when there is something to show

    print(text if as_json else "\n".join(plain(line, _LINE_AT_MOST) for line in text.split("\n")), file=out)


def _as_interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _dispatch(argv: Sequence[str] | None) -> int:
    words, program = _split(sys.argv[1:] if argv is None else argv)
    args = _parser().parse_args(words)
    if program is not None and not hasattr(args, "legs"):
        raise UsageProblem("only `drill run` and `drill plan` take a command after --")
    args.program = program
    command: int = args.command(args)
    return command


def _split(argv: Sequence[str]) -> tuple[list[str], tuple[str, ...] | None]:
    """The drill's own words, and the command behind the first `--`: None when there is no `--`."""
    words = list(argv)
    if "--" not in words:
        return words, None
    at = words.index("--")
    return words[:at], tuple(words[at + 1 :])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="drill", description="Proves that an AI gateway really fails over.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"failover-drill {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a drill", description="Run a drill.", allow_abbrev=False)
    _target(run)
    run.add_argument("--seed", type=int, help="repeat a drill exactly (default: the scenario's, or a random one)")
    run.add_argument("--no-faults", action="store_true", help="the null drill: everything but the faults")
    run.add_argument("--port", type=int, help="loopback port for the gateway (default: any free one)")
    run.add_argument(
        "--out", type=Path, default=Path(RESULTS), help=f"where the run's folder goes (default: {RESULTS})"
    )
    run.add_argument("--operator", metavar="NAME", help="who runs the drill (default: the scenario's); for the reports")
    run.add_argument("--reviewer", metavar="NAME", help="who looks at what comes of it (default: the scenario's)")
    run.add_argument("--change", metavar="TICKET", help="the ticket under which it is run (default: the scenario's)")
    run.add_argument("--sign", type=Path, metavar="KEY", help=_SIGN)
    run.set_defaults(command=_run)

    plan = commands.add_parser("plan", help="print legs and timeline; touch nothing", allow_abbrev=False)
    _target(plan)
    plan.add_argument("--seed", type=int, default=0, help="seed of the arrivals")
    plan.set_defaults(command=_plan)

    _gate_parser(commands)

    validate = commands.add_parser("validate", help="check scenario files", allow_abbrev=False)
    validate.add_argument("scenarios", nargs="+", metavar="SCENARIO", help="path, file name or name of a scenario")
    validate.add_argument("--json", action="store_true", help="print the findings as JSON")
    validate.set_defaults(command=_validate)

    check = commands.add_parser("check", help="judge a run again from its history", allow_abbrev=False)
    check.add_argument("folder", type=Path, metavar="DIR", help="folder of a run")
    check.add_argument("--json", action="store_true", help="print the result as JSON")
    check.set_defaults(command=_check)

    _evidence_parsers(commands)
    _report_parser(commands)
    _history_parser(commands)

    setup = commands.add_parser("setup", help="install what only some drills need", allow_abbrev=False)
    setup.add_argument("what", choices=("toxiproxy",), help="found where it is installed, or built once with Go")
    setup.set_defaults(command=_setup)

    doctor = commands.add_parser("doctor", help="what is there, and what is missing", allow_abbrev=False)
    doctor.add_argument("--json", action="store_true", help="print it as JSON")
    doctor.set_defaults(command=_doctor)

    listing = commands.add_parser("list", help="what there is", allow_abbrev=False)
    listing.add_argument("what", choices=("scenarios", "faults", "gateways", "providers", "reports"))
    listing.add_argument("--json", action="store_true", help="print the list as JSON")
    listing.set_defaults(command=_list)
    return parser


def _gate_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "is a change of a gateway's config or version worse than what is there now?"
    gate = commands.add_parser(
        "gate", help=about, description=f"Drills base and head in turn: {about}", allow_abbrev=False
    )
    gate.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="which drills (default: those of --set)")
    gate.add_argument(
        "--base", type=Path, metavar="FILE|DIR", help="the config as it is now, or results of it (default: none)"
    )
    gate.add_argument("--head", type=Path, metavar="FILE", help="the config as it shall be (default: a sample)")
    gate.add_argument("--gateway", metavar="NAME", default="litellm", help="gateway adapter, or a YAML file (litellm)")
    gate.add_argument("--model", metavar="NAME", help="model name that callers ask for (default: found in the config)")
    gate.add_argument("--route", metavar="NAME", help="as in `drill run` (default: rewrite)")
    for side in ("base", "head"):
        gate.add_argument(f"--{side}-program", metavar="PATH", help=f"an installed gateway of {side}'s version")
    gate.add_argument(
        "--set", choices=("fast", "full"), default="fast", help="the short drills, or all (default: fast)"
    )
    gate.add_argument("--budget", metavar="TIME", default="10m", help="what it may take, such as 4m (default: 10m)")
    gate.add_argument("--pairs", type=int, metavar="N", default=10, help="pairs of runs at first (default: up to 10)")
    gate.add_argument("--quick", action="store_true", help="run nothing when both configs mean the same")
    gate.add_argument("--seed", type=int, help="repeat a gate (default: a random one)")
    gate.add_argument(
        "--out", type=Path, default=Path(RESULTS), help=f"where the runs' folders go (default: {RESULTS})"
    )
    gate.add_argument("--json", action="store_true", help="print the result as JSON, progress to standard error")
    gate.add_argument("--summary", type=Path, metavar="FILE", help="add the result to a file, as Markdown")
    gate.add_argument("--annotations", choices=("github",), help="print annotations for a pull request")
    gate.set_defaults(command=_gate)


def _evidence_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verify = commands.add_parser(
        "verify",
        help="verify that runs are what was sealed and say what their histories say",
        description="0: verified. 1: something is not what it was. 3: nothing was sealed, so nothing was verified.",
        allow_abbrev=False,
    )
    verify.add_argument("--key", type=Path, metavar="FILE", help="public key: the runs must be signed with it")
    verify.add_argument("--head", default="", metavar="HASH", help="a hash that was kept elsewhere: it must be there")
    verify.add_argument("--runs", type=Path, metavar="DIR", help="of a quarterly report elsewhere: where its runs are")
    verify.add_argument("--json", action="store_true", help="print the findings as JSON")
    verify.set_defaults(command=_verify)

    seal = commands.add_parser("seal", help="seal runs that are not, or sign those that are", allow_abbrev=False)
    seal.add_argument("--sign", type=Path, metavar="KEY", help=_SIGN)
    seal.set_defaults(command=_seal)
    for parser in (verify, seal):
        parser.add_argument(
            "paths",
            nargs="*",
            type=Path,
            metavar="DIR",
            help=f"folder of runs or of one run; report (default: {RESULTS})",
        )


def _report_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = commands.add_parser(
        "report", help="make the reports of a run from its history, or of a quarter", allow_abbrev=False
    )
    report.add_argument("folder", type=Path, metavar="DIR", nargs="?", help="folder of a run; none with --quarter")
    report.add_argument(
        "--format",
        action="append",
        metavar="NAME",
        dest="formats",
        help="`drill list reports` has the names; may be given several times (default: html; of a quarter html,md)",
    )
    report.add_argument(
        "--out",
        metavar="FILE",
        help="where it goes: a file, a folder, or - for the standard output (default: DIR; of a quarter --runs)",
    )
    of = report.add_argument_group("of a quarter")
    of.add_argument("--quarter", metavar="2026Q4", help="report on all runs of a quarter; html, md, json, pdf")
    of.add_argument("--runs", type=Path, metavar="DIR", help=f"where the runs are (default: {RESULTS})")
    of.add_argument("--plan", type=Path, metavar="FILE", help="people, targets, money: see docs/quarterly.md")
    of.add_argument("--findings", type=Path, metavar="FILE", help="the register of findings that people keep")
    of.add_argument("--update-findings", action="store_true", help="append new findings to the register")
    report.set_defaults(command=_report)


def _history_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    history = commands.add_parser("history", help="the runs that are kept: list, import, prune", allow_abbrev=False)
    _results(history, default=Path(RESULTS))
    history.add_argument("--json", action="store_true", help="print the list as JSON")
    history.set_defaults(command=_history)
    actions = history.add_subparsers(title="actions", metavar="ACTION")

    bring = actions.add_parser("import", help="take in runs from folders or ZIP files", allow_abbrev=False)
    bring.add_argument("sources", nargs="+", type=Path, metavar="FOLDER|ZIP", help="holds runs at any depth")
    _results(bring, default=argparse.SUPPRESS)
    bring.set_defaults(command=_history_import)

    prune = actions.add_parser("prune", help="remove old runs; only says which without --yes", allow_abbrev=False)
    prune.add_argument(
        "--keep",
        action="append",
        required=True,
        metavar="RULE",
        help="how many of the newest runs stay (50), or how far back (90d, 26w, 2y); what any rule keeps stays",
    )
    prune.add_argument("--yes", action="store_true", help="remove them")
    _results(prune, default=argparse.SUPPRESS)
    prune.set_defaults(command=_history_prune)


def _results(parser: argparse.ArgumentParser, default: Path | str) -> None:
    parser.add_argument(
        "--results", type=Path, metavar="DIR", default=default, help=f"where the runs are (default: {RESULTS})"
    )


def _target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenario", metavar="SCENARIO", help="path, file name or name of a scenario")
    parser.add_argument(
        "--gateway", metavar="NAME", help="gateway adapter, a YAML file that describes one, or the URL of one that runs"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the gateway's own config (default: a sample)")
    parser.add_argument(
        "--model", metavar="NAME", help="model name that callers ask for (default: found in the config)"
    )
    parser.add_argument(
        "--legs",
        metavar="LEGS",
        help="with a URL or a command: a legs file; with a command also providers in order (anthropic,openai)",
    )
    parser.add_argument("--health", metavar="URL", help="with a command: says on loopback whether it is well")
    parser.add_argument(
        "--route",
        metavar="NAME",
        help=f"how the traffic comes to the planes: {', '.join(Route)} (default: rewrite; fixed with a URL)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON, progress to standard error")
    parser.usage = "%(prog)s SCENARIO [options] [-- COMMAND ...]"


def _run(args: argparse.Namespace) -> int:
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
        _print_summary(result, job.folder, out)
    if lost is not None:
        raise lost
    _show(sealed, out)
    return result.exit_code


def _run_job(job: Job, screen: Screen) -> Judged:
    from drills.recomputing import judged_in  # noqa: PLC0415
    from drills.run import RunInterrupted, run  # noqa: PLC0415

    try:
        run(job, screen.take, screen.say)
    except RunInterrupted as why:
        screen.say(f"{why}; everything is restored")
    except UsageProblem:
        shutil.rmtree(job.folder, ignore_errors=True)
        raise
    return judged_in(job.folder)


def _keep(job: Job, screen: Screen) -> None:
    from drills.index import refresh  # noqa: PLC0415

    if trouble := refresh(job.folder.parent):
        screen.say(f"note: {trouble}")


def _print_summary(result: Result, folder: Path, out: TextIO) -> None:
    from reports.text import render  # noqa: PLC0415

    lines = render(result, str(folder))
    if not out.isatty():
        print("\n".join(line.text for line in lines), file=out)
        return
    from rich.console import Console  # noqa: PLC0415

    console = Console(file=out)
    for line in lines:
        console.print(line.text, style=line.style or None, markup=False, highlight=False)


def _gate(args: argparse.Namespace) -> int:
    from drills.gate.command import gate  # noqa: PLC0415
    from drills.gate.result import encode  # noqa: PLC0415
    from reports import gate as report  # noqa: PLC0415

    if args.summary is not None and not args.summary.absolute().parent.is_dir():
        raise UsageProblem(f"--summary {args.summary}: no such folder: {args.summary.parent}")
    result = gate(args, lambda line: _show(line, sys.stderr))
    if args.summary is not None:
        with args.summary.open("ab") as file:
            file.write(report.markdown(result))
    if args.json:
        sys.stdout.write(encode(result).decode())
    else:
        _show(report.text(result), sys.stdout)
    if args.annotations:
        root = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd())
        # The annotations are no part of the JSON, and GitHub reads them wherever a step prints them.
        print("\n".join(report.github(result, root)), file=sys.stderr if args.json else sys.stdout)
    return result.exit_code


def _plan(args: argparse.Namespace) -> int:
    from drills.prepare import plan_text  # noqa: PLC0415

    _show(plan_text(args), sys.stdout, as_json=args.json)
    return 0


def _validate(args: argparse.Namespace) -> int:
    from drills.prepare import validate_text  # noqa: PLC0415

    code, text = validate_text(args.scenarios, args.json)
    _show(text, sys.stdout, as_json=args.json)
    return code


def _check(args: argparse.Namespace) -> int:
    from drills.files import recheck  # noqa: PLC0415

    result, agrees, why = recheck(args.folder)
    if not agrees:
        _show(f"drill: {why}; judged from the history alone:", sys.stderr)
    if args.json:
        from drills.result import encode  # noqa: PLC0415

        sys.stdout.write(encode(result).decode())
    else:
        _print_summary(result, args.folder, sys.stdout)
    if not agrees:
        return EXIT_INVALID
    return result.exit_code


def _verify(args: argparse.Namespace) -> int:
    from drills import evidence  # noqa: PLC0415

    paths = args.paths or [Path(RESULTS)]
    code, text = evidence.verify_text(paths, args.key, args.head, args.runs, as_json=args.json)
    _show(text, sys.stdout, as_json=args.json)
    return code


def _seal(args: argparse.Namespace) -> int:
    from drills import evidence  # noqa: PLC0415

    _show(evidence.seal_text(args.paths or [Path(RESULTS)], args.sign), sys.stdout)
    return 0


def _report(args: argparse.Namespace) -> int:
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
    reporting.make(args.folder, args.formats or ["html"], args.out, lambda line: _show(line, sys.stderr))
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
    command.make(asked, lambda line: _show(line, sys.stderr))
    return 0


def _history(args: argparse.Namespace) -> int:
    from drills import keeping  # noqa: PLC0415

    _show(keeping.list_text(args.results, as_json=args.json), sys.stdout, as_json=args.json)
    return 0


def _history_import(args: argparse.Namespace) -> int:
    from drills import keeping  # noqa: PLC0415

    code, text = keeping.import_text(args.results, args.sources)
    _show(text, sys.stdout)
    return code


def _history_prune(args: argparse.Namespace) -> int:
    from drills import keeping  # noqa: PLC0415

    _show(keeping.prune_text(args.results, args.keep, really=args.yes), sys.stdout)
    return 0


def _setup(_args: argparse.Namespace) -> int:
    from drills import toxiproxy_install  # noqa: PLC0415

    found = toxiproxy_install.prepare(lambda line: print(line, file=sys.stderr), os.environ)
    print(f"Toxiproxy {found.version}: {found.server} ({found.origin})")
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from drills import doctor  # noqa: PLC0415

    print(doctor.render(doctor.look(os.environ), as_json=args.json))
    return 0


def _list(args: argparse.Namespace) -> int:
    from drills.prepare import list_text  # noqa: PLC0415

    print(list_text(args.what, args.json))
    return 0


if __name__ == "__main__":
    main()
