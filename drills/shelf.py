"""Where scenario files are: in the folders of whoever calls, and on the shelf of those that come with the tool."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from drills.problems import Place, Problem, UsageProblem, choices
from drills.scenario import Scenario
from drills.scenariofile import parse
from drills.yamlsource import read_text, shown


class Found(NamedTuple):
    """A scenario file: its name for messages, and where to read it."""

    file: str
    source: Traversable


FAST = "fast"
"""The set of short scenarios for a gate, and the folder in which they are."""


def shipped(folder: str = "") -> list[str]:
    """The names of the scenarios that come with the tool, in alphabetical order; those of a folder begin with it."""
    shelf = _shelf() / folder if folder else _shelf()
    names = [f"{folder}/{entry.name}" if folder else entry.name for entry in shelf.iterdir()]
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def _shelf() -> Traversable:
    """The package `scenarios`. With `python -m`, a directory of that name where the tool runs would come first."""
    found = files("scenarios")
    return found if (found / "__init__.py").is_file() else Path(__file__).parents[1] / "scenarios"


def find(name: str) -> Found:
    """The file of a scenario that is given as a path, a file name (`cloud-outage.yaml`) or a bare name.

    Looks relative to the current directory, then in `./scenarios/`, then among the shipped ones. Raises
    `UsageProblem` with the closest match and the shipped names.
    """
    for stem in (Path(name), Path("scenarios") / name):
        for path in (stem, Path(f"{stem}.yaml"), Path(f"{stem}.yml")):
            if name and _holds_a_file(path):
                return Found(str(path), path)
    bare = name.removesuffix(".yaml")
    if bare in shipped() or bare in shipped(FAST):
        return Found(f"scenarios/{bare}.yaml", _shelf() / f"{bare}.yaml")
    if name and os.path.isdir(name):  # noqa: PTH112 - never raises, whatever the name
        raise UsageProblem(Problem("this is a directory; name one file", Place(name)))
    tail = choices(Path(bare).name[:60], shipped())
    raise UsageProblem(f"unknown scenario {shown(name)}: no such file, and none of this name is shipped; {tail}")


def _holds_a_file(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except PermissionError:
        return True  # reading it says why it cannot be read
    except (OSError, ValueError):
        return False  # no file can have this name


def load(name_or_path: str) -> Scenario:
    """The scenario of a file that `find` finds. Raises `UsageProblem` with every problem in it."""
    found = find(name_or_path)
    scenario = parse(read_text(found.source, found.file), found.file)
    return replace(scenario, identity=identity(found.file, scenario.text))


OWN = "own/"
"""Before the name of a file that is called like a scenario of the shelf and is not that."""


def identity(file: str, text: str) -> str:
    """By what the runs of a scenario are known: `cloud-outage`, `fast/cloud-outage`.

    A scenario of the shelf is known by its name there, wherever a copy of it is and whatever that is called. Any other
    file is known by its own name without folder and ending, with `own/` before it where that name is one of the shelf:
    a short file of one's own must not stand for the drill that everybody takes it for.
    """
    stem = Path(file).stem
    names = [*shipped(), *shipped(FAST)]
    same = [name for name in names if _text_of(name) == text]
    if same:
        return min(same, key=lambda name: Path(name).name != stem)
    return f"{OWN}{stem}" if stem in {Path(name).name for name in names} else stem


def _text_of(name: str) -> str:
    return read_text(_shelf() / f"{name}.yaml", f"scenarios/{name}.yaml")
