"""The words of the command line: which commands there are, and what each takes. What they do is in `commands.py`."""

from __future__ import annotations

import argparse
from pathlib import Path

from drills import __version__, commands
from drills.commands import RESULTS
from drills.routes import Route

_SIGN = "sign with this Ed25519 key: PEM, or OpenSSH's own format"


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line. What it reads has the command to call as `command`."""
    drill = argparse.ArgumentParser(
        prog="drill", description="Proves that an AI gateway really fails over.", allow_abbrev=False
    )
    drill.add_argument("--version", action="version", version=f"failover-drill {__version__}")
    subparsers = drill.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = subparsers.add_parser("run", help="run a drill", description="Run a drill.", allow_abbrev=False)
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
    run.set_defaults(command=commands.run)

    plan = subparsers.add_parser("plan", help="print legs and timeline; touch nothing", allow_abbrev=False)
    _target(plan)
    plan.add_argument("--seed", type=int, default=0, help="seed of the arrivals")
    plan.set_defaults(command=commands.plan)

    _gate_parser(subparsers)

    validate = subparsers.add_parser("validate", help="check scenario files", allow_abbrev=False)
    validate.add_argument("scenarios", nargs="+", metavar="SCENARIO", help="path, file name or name of a scenario")
    validate.add_argument("--json", action="store_true", help="print the findings as JSON")
    validate.set_defaults(command=commands.validate)

    check = subparsers.add_parser("check", help="judge a run again from its history", allow_abbrev=False)
    check.add_argument("folder", type=Path, metavar="DIR", help="folder of a run")
    check.add_argument("--json", action="store_true", help="print the result as JSON")
    check.set_defaults(command=commands.check)

    _evidence_parsers(subparsers)
    _report_parser(subparsers)
    _history_parser(subparsers)

    setup = subparsers.add_parser("setup", help="install what only some drills need", allow_abbrev=False)
    setup.add_argument("what", choices=("toxiproxy",), help="found where it is installed, or built once with Go")
    setup.set_defaults(command=commands.setup)

    doctor = subparsers.add_parser("doctor", help="what is there, and what is missing", allow_abbrev=False)
    doctor.add_argument("--json", action="store_true", help="print it as JSON")
    doctor.set_defaults(command=commands.doctor)

    listing = subparsers.add_parser("list", help="what there is", allow_abbrev=False)
    listing.add_argument("what", choices=("scenarios", "faults", "gateways", "providers", "reports"))
    listing.add_argument("--json", action="store_true", help="print the list as JSON")
    listing.set_defaults(command=commands.listing)
    return drill


def _gate_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "is a change of a gateway's config or version worse than what is there now?"
    gate = subparsers.add_parser(
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
    gate.set_defaults(command=commands.gate)


def _evidence_parsers(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    verify = subparsers.add_parser(
        "verify",
        help="verify that runs are what was sealed and say what their histories say",
        description="0: verified. 1: something is not what it was. 3: nothing was sealed, so nothing was verified.",
        allow_abbrev=False,
    )
    verify.add_argument("--key", type=Path, metavar="FILE", help="public key: the runs must be signed with it")
    verify.add_argument("--head", default="", metavar="HASH", help="a hash that was kept elsewhere: it must be there")
    verify.add_argument("--runs", type=Path, metavar="DIR", help="of a quarterly report elsewhere: where its runs are")
    verify.add_argument("--json", action="store_true", help="print the findings as JSON")
    verify.set_defaults(command=commands.verify)

    seal = subparsers.add_parser("seal", help="seal runs that are not, or sign those that are", allow_abbrev=False)
    seal.add_argument("--sign", type=Path, metavar="KEY", help=_SIGN)
    seal.set_defaults(command=commands.seal)
    for one in (verify, seal):
        one.add_argument(
            "paths",
            nargs="*",
            type=Path,
            metavar="DIR",
            help=f"folder of runs or of one run; report (default: {RESULTS})",
        )


def _report_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = subparsers.add_parser(
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
        help="where it goes: a file, a folder, or - for the standard output (default: DIR); of a quarter a folder, "
        "which is made (default: --runs)",
    )
    of = report.add_argument_group("of a quarter")
    of.add_argument("--quarter", metavar="2026Q4", help="report on all runs of a quarter; html, md, json, pdf")
    of.add_argument("--runs", type=Path, metavar="DIR", help=f"where the runs are (default: {RESULTS})")
    of.add_argument("--plan", type=Path, metavar="FILE", help="people, targets, money: see docs/quarterly.md")
    of.add_argument("--findings", type=Path, metavar="FILE", help="the register of findings that people keep")
    of.add_argument("--update-findings", action="store_true", help="append new findings to the register")
    report.set_defaults(command=commands.report)


def _history_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    history = subparsers.add_parser("history", help="the runs that are kept: list, import, prune", allow_abbrev=False)
    _results(history, default=Path(RESULTS))
    history.add_argument("--json", action="store_true", help="print the list as JSON")
    history.set_defaults(command=commands.history)
    actions = history.add_subparsers(title="actions", metavar="ACTION")

    bring = actions.add_parser("import", help="take in runs from folders or ZIP files", allow_abbrev=False)
    bring.add_argument("sources", nargs="+", type=Path, metavar="FOLDER|ZIP", help="holds runs at any depth")
    _results(bring, default=argparse.SUPPRESS)
    bring.set_defaults(command=commands.history_import)

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
    prune.set_defaults(command=commands.history_prune)


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
