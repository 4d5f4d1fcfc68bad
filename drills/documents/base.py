"""What a document is: files that say something about runs, and that can be computed again from raw histories.

A new kind is one new module in this package, with a `DOCUMENT`, and its test. `drill verify PATH` asks each kind
whether the path is one of its own; `drill verify` of a folder of runs asks each which ones are in it. Whether bytes are
those that were sealed is not its business: manifests and the chain say that (`drills.sealing.record` puts a document
that is no run's into the chain).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from drills.findings import Finding


@dataclass(frozen=True)
class Recomputed:
    """What came of computing a document again.

    told: half a sentence about what was computed, for people. files: the names of all files of the document; none for
    the one that was asked about. rests_on: the folders' names of the runs whose results it counts: it is no better than
    they are. whole: whether it could be computed again; if not, only a hash in the chain can say that it is the same.
    hash_only: those of its files of which only a hash can say so, though the rest was computed.
    """

    findings: tuple[Finding, ...]
    told: str
    files: tuple[str, ...] = ()
    rests_on: tuple[str, ...] = ()
    whole: bool = True
    hash_only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """A kind of document.

    name: of the kind, one word. claims: whether a path is one. within: those in a folder of runs. recompute: of a path
    and the folder of the runs; never raises for what is in the files, that is a finding.
    """

    name: str
    claims: Callable[[Path], bool]
    within: Callable[[Path], Sequence[Path]]
    recompute: Callable[[Path, Path], Recomputed]


@cache
def documents() -> tuple[Document, ...]:
    """Every kind, in alphabetical order."""
    package = importlib.import_module("drills.documents")
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    modules = [importlib.import_module(f"drills.documents.{name}") for name in names]
    found: list[Document] = [module.DOCUMENT for module in modules if hasattr(module, "DOCUMENT")]
    return tuple(sorted(found, key=lambda one: one.name))
