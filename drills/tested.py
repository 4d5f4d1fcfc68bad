"""What is under test, from the words of a command: an adapter, a described gateway, a URL, or an application."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from drills import gateways
from drills.gateways import command, front, program, running
from drills.gateways.base import Gateway, RunsAlready
from drills.problems import Problem, UsageProblem
from drills.routes import Route
from drills.scenario import Scenario

_LEGS_OF_A_COMMAND = "--legs: a legs file, or providers in the order in which it asks them, such as anthropic,openai"


def gateway_of(name: str) -> Gateway:
    """The adapter of that name, or the gateway that a YAML file describes. Raises `UsageProblem`."""
    if Path(name).suffix in {".yaml", ".yml"}:
        return command.load(Path(name))
    return gateways.get(name)


def choose(args: argparse.Namespace, scenario: Scenario) -> Gateway | RunsAlready:
    """What `drill run` and `drill plan` are asked to test. Raises `UsageProblem` for words that do not go together."""
    name = args.gateway or scenario.gateway
    if args.route == Route.FRONT and (args.program is not None or not running.is_url(name)):
        raise UsageProblem(f"--route {args.route} is for a gateway that runs already: --gateway https://host")
    if args.program is not None:
        return _program(args, scenario)
    if not running.is_url(name):
        _refuse(_beside(args, ("legs", "health"), "goes with a command after --, or with the URL of a gateway"))
        return gateway_of(name)
    why = "does not go with a URL: that gateway runs already"
    problems = [*_beside(args, ("config", "port", "health"), why), *_faults_on_it(scenario, f"{name} runs already")]
    if args.route == Route.FRONT:
        _refuse([*problems, *front.unmeasurable(scenario)])
        return front.load(name, None if args.legs is None else Path(args.legs))
    if args.route not in {None, Route.FIXED}:
        problems.append(Problem(f"--route {args.route} {why}, and whoever runs it has set its upstreams"))
    if args.legs is None:
        problems.append(Problem("--gateway URL needs --legs FILE, which says what its legs are"))
    _refuse(problems)
    return running.load(name, Path(args.legs))


def _program(args: argparse.Namespace, scenario: Scenario) -> program.Program:
    why = "does not go with a command after --, which is started as it is"
    problems = [*_beside(args, ("gateway", "config", "model", "port"), why)]
    problems += _faults_on_it(scenario, "an application is none")
    problems += [
        Problem(f"fault {use.kind!r} changes marks, and an application's own calls carry none", use.place)
        for use in scenario.faults
        if use.fault.of_marks
    ]
    if not args.program:
        problems.append(Problem("there is no command after --"))
    if args.legs is None:
        problems.append(Problem(f"a command after -- needs {_LEGS_OF_A_COMMAND}"))
    _refuse(problems)
    by_variables = args.route in {None, Route.REWRITE}
    return program.load(args.program, args.legs, args.health, by_variables=by_variables)


def _beside(args: argparse.Namespace, names: tuple[str, ...], why: str) -> Iterator[Problem]:
    """Options that were given and make no sense here."""
    for name in names:
        if getattr(args, name, None) is not None:
            yield Problem(f"--{name} {why}")


def _faults_on_it(scenario: Scenario, why: str) -> Iterator[Problem]:
    """Faults on the gateway's own process, where the drill has none in its hands."""
    for use in scenario.faults:
        if use.fault.plane == "process":
            yield Problem(f"fault {use.kind!r} is on a gateway that the drill starts; {why}", use.place)


def _refuse(problems: Iterator[Problem] | list[Problem]) -> None:
    found = list(problems)
    if found:
        raise UsageProblem(found)
