"""From a command's arguments to a job: every problem is found here, before anything is started."""

from __future__ import annotations

import argparse
import json
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from drills import gateways, providers, routing, tested, toxiproxy_install
from drills.events import PhasePlan
from drills.files import make_folder
from drills.gateways.base import Discovery, Gateway, MakesCalls, RunsAlready, StartsProgram
from drills.job import Job
from drills.people import with_flags
from drills.plan import Plan, make
from drills.planeurls import plane_urls
from drills.ports import check_port
from drills.problems import UsageProblem
from drills.routes import Route
from drills.routing.base import Planned, RouteKind
from drills.scenario import Scenario
from drills.schema import summary
from drills.shelf import load, shipped
from drills.targets import resolve
from faults.base import kinds
from reports.base import formats, quarter_formats


class Prepared(NamedTuple):
    """What was asked for, found and planned, before anything is installed or started."""

    scenario: Scenario
    gateway: Gateway | RunsAlready
    route: RouteKind
    found: Discovery
    plan: Plan

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know first."""
        return (*self.found.notes, *self.route.notes(self.found), *self.plan.warnings)


def _prepared(args: argparse.Namespace, scenario: Scenario, seed: int, nonce: str) -> Prepared:
    gateway = tested.choose(args, scenario)
    route = routing.get(args.route or (Route.FIXED if isinstance(gateway, RunsAlready) else Route.REWRITE))
    found = gateway.discover(args.config, args.model)
    without_faults = getattr(args, "no_faults", False)
    hopeless = getattr(args, "hopeless", False)
    targets = () if without_faults else resolve(scenario, found.legs, hopeless=hopeless)
    missing = gateway.missing() if isinstance(gateway, StartsProgram) else ()
    if problems := [*missing, *route.problems(Planned(gateway, found, targets))]:
        raise UsageProblem(problems)
    plan = make(scenario, found.legs, seed, nonce, without_faults, hopeless=hopeless)
    if isinstance(gateway, MakesCalls):
        plan = replace(plan, arrivals=(), warnings=())  # nobody sends it requests
    return Prepared(scenario, gateway, route, found, plan)


def job_of(args: argparse.Namespace, say: Callable[[str], None], nonce: str) -> Job:
    """All that a run needs, the gateway installed. Raises `UsageProblem`."""
    scenario = load(args.scenario)
    flags = {name: getattr(args, name, None) for name in ("operator", "reviewer", "change")}
    people, change = with_flags(scenario.people, scenario.change, flags)
    seed = next((seed for seed in (args.seed, scenario.seed) if seed is not None), secrets.randbelow(2**32))
    scenario, gateway, route, found, plan = prepared = _prepared(args, scenario, seed, nonce)
    if args.port is not None:
        check_port(args.port)
    if lacking := route.lacks():
        raise UsageProblem(lacking)
    toxiproxy = toxiproxy_for(plan, say)
    version = gateway.prepare(say)
    for note in prepared.notes:
        say(f"note: {note}")
    return Job(
        scenario=scenario,
        found=found,
        plan=plan,
        gateway=gateway,
        gateway_version=version,
        route=route,
        notes=prepared.notes,
        seed=seed,
        folder=make_folder(args.out, Path(scenario.file).stem, gateway.name),
        port=args.port,
        people=people,
        change=change,
        toxiproxy=toxiproxy,
    )


def toxiproxy_for(plan: Plan, say: Callable[[str], None]) -> str:
    """The Toxiproxy server that a plan needs, empty when it needs none. Raises `UsageProblem` when there is none."""
    wanted = sorted({fault.kind for fault in plan.faults if fault.plane == "toxi"})
    if not wanted:
        return ""
    try:
        return toxiproxy_install.prepare(say, os.environ).server
    except UsageProblem as problem:
        raise UsageProblem(f"{', '.join(wanted)}: Toxiproxy is needed: {problem}") from problem


def plan_text(args: argparse.Namespace) -> str:
    """What a run would do, for people or as JSON."""
    scenario, gateway, route, found, plan = prepared = _prepared(args, load(args.scenario), args.seed, "plan")
    if args.json:
        return json.dumps(
            {
                "scenario": scenario.name,
                "gateway": gateway.name,
                "route": route.name,
                "entry_model": found.entry_model,
                "legs": [{key: getattr(leg, key) for key in leg.__struct_fields__} for leg in found.legs],
                "phases": [
                    {"name": p.name, "start_s": p.start_s, "end_s": p.end_s, "faults": p.faults} for p in plan.phases
                ],
                "faults": [{"id": f.id, "kind": f.kind, "legs": f.legs, "selector": f.selector} for f in plan.faults],
                "upstreams": plane_urls(found.legs, found.ports),
                "arrivals": len(plan.arrivals),
                "duration_s": plan.duration_s,
                "notes": list(prepared.notes),
            },
            indent=2,
        )
    lines = [scenario.name, scenario.objective, "", f"{gateway.name}, config {found.config_file}, route {route.name}"]
    asked = "it makes its own calls" if isinstance(gateway, MakesCalls) else f"callers ask for {found.entry_model!r}"
    lines.append(f"{asked}; the legs, in the order in which it uses them:")
    for leg in found.legs:
        region = f" {leg.region}" if leg.region else ""
        lines.append(
            f"  {leg.role or 'not in the chain':<16} {leg.name:<36} {leg.provider}, {leg.cloud}{region}, {leg.model}"
        )
    sent = f"{len(plan.arrivals)} requests at {scenario.load.rate_per_s:g}/s over" if plan.arrivals else "no load, for"
    lines += ["", f"{sent} {plan.duration_s:g} s:"]
    faults = {fault.id: fault for fault in plan.faults}
    for phase in plan.phases:
        lines.append(f"  {phase.start_s:6.1f} s  {phase.name}, {phase.end_s - phase.start_s:g} s{_until(phase)}")
        lines += [
            f"            {faults[id_].kind} on {', '.join(faults[id_].legs) or 'the gateway'}" for id_ in phase.faults
        ]
    lines += ["", *(f"note: {note}" for note in prepared.notes)]
    return "\n".join(lines).rstrip()


def validate_text(names: Sequence[str], as_json: bool) -> tuple[int, str]:
    """Every scenario checked: exit code, and what to print."""
    found: list[dict[str, object]] = []
    for name in names:
        try:
            scenario = load(name)
        except UsageProblem as problem:
            found.append({"scenario": name, "problems": [str(one) for one in problem.problems]})
        else:
            found.append({"scenario": scenario.file, "problems": []})
    code = 2 if any(one["problems"] for one in found) else 0
    if as_json:
        return code, json.dumps(found, indent=2)
    lines = []
    for one in found:
        problems = one["problems"]
        lines += (
            [str(line) for line in problems]
            if isinstance(problems, list) and problems
            else [f"{one['scenario']}: good"]
        )
    return code, "\n".join(lines)


def list_text(what: str, as_json: bool) -> str:
    """What there is of a kind: names, and one sentence each where there is one."""
    rows: dict[str, str]
    if what == "faults":
        rows = {name: summary(cls) for name, cls in kinds().items()}
    elif what == "gateways":
        rows = dict.fromkeys(gateways.names(), "")
    elif what == "providers":
        rows = dict.fromkeys(providers.names(), "")
    elif what == "reports":
        rows = {name: report.about for name, report in formats().items()}
        rows |= {f"quarter {name}": f"--quarter: {report.about}" for name, report in quarter_formats().items()}
    else:
        rows = {name: load(name).name for name in shipped()}
    if as_json:
        return json.dumps(rows, indent=2)
    return "\n".join(f"{name:<24} {about}".rstrip() for name, about in rows.items())


def _until(phase: PhasePlan) -> str:
    if phase.until is None:
        return ""
    return f", or until {', '.join(phase.until.legs)} answered {phase.until.requests} requests"
