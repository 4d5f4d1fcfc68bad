"""`index.sqlite`: a row for each run of a folder, for lists and for whoever wants to ask with SQL.

The folders of the runs are the truth, and the index is a copy: whoever uses it brings it up to date first, which takes
a look at each folder and reads those that changed. So it cannot miss a run, nothing is lost with it, and one that is
damaged is made anew. SQLite's locks and its journal keep it whole when two drills end at once and when one is killed
at any byte.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from drills.kept import Kept, is_run, read, stamp

INDEX_FILE = "index.sqlite"
_VERSION = 1
_WAIT_S = 30.0
_FIELDS = Kept.__struct_fields__
_NUMBERS = {"duration_s", "recovery_s", "resolution_s", "failback_s"}
_COUNTS = {"due", "lost", "slow", "switchovers", "recovered"}
_Found = TypeVar("_Found")


def runs(root: Path) -> tuple[Kept, ...]:
    """Every run in a folder, newest first; none when there is no such folder."""
    if not root.is_dir():
        return ()
    return _used(root, _rows)


def refresh(root: Path) -> str:
    """Bring the index of a folder up to date after a run; a sentence when it could not be, empty when it was."""
    try:
        _used(root, _count)
    except (sqlite3.Error, OSError) as error:
        return f"{root / INDEX_FILE}: not written ({error}); `drill history` lists the runs all the same"
    return ""


def _rows(connection: sqlite3.Connection) -> tuple[Kept, ...]:
    query = f"SELECT {', '.join(_FIELDS)} FROM runs ORDER BY started_at DESC, name DESC"  # noqa: S608  our own names
    return tuple(Kept(**dict(zip(_FIELDS, row, strict=True))) for row in connection.execute(query))


def _count(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
    return found


def _used(root: Path, ask: Callable[[sqlite3.Connection], _Found]) -> _Found:
    """Ask the index, up to date. A damaged one is made anew; where none can be written, one in memory is."""
    path = root / INDEX_FILE
    try:
        return _asked(str(path), root, ask)
    except sqlite3.OperationalError:
        # A folder that may only be read, or another drill that holds the lock for too long.
        return _asked(":memory:", root, ask)
    except sqlite3.DatabaseError:
        path.unlink(missing_ok=True)
        path.with_name(f"{INDEX_FILE}-journal").unlink(missing_ok=True)
        return _asked(str(path), root, ask)


def _asked(where: str, root: Path, ask: Callable[[sqlite3.Connection], _Found]) -> _Found:
    with _connected(where) as connection:
        connection.execute("BEGIN IMMEDIATE")
        _prepare(connection)
        _sync(connection, root)
        found = ask(connection)
        connection.execute("COMMIT")
    return found


@contextmanager
def _connected(where: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(where, timeout=_WAIT_S, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def _prepare(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("damaged")
    if connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION:
        return
    columns = [f"{name} {_type(name)}" for name in _FIELDS]
    connection.execute("DROP TABLE IF EXISTS runs")
    connection.execute(f"CREATE TABLE runs ({', '.join(columns)}, stamp TEXT NOT NULL, PRIMARY KEY (name))")
    connection.execute(f"PRAGMA user_version = {_VERSION}")


def _type(name: str) -> str:
    return "REAL" if name in _NUMBERS else "INTEGER" if name in _COUNTS else "TEXT NOT NULL"


def _sync(connection: sqlite3.Connection, root: Path) -> None:
    known: dict[str, str] = dict(connection.execute("SELECT name, stamp FROM runs"))
    there = {folder.name: folder for folder in root.iterdir() if is_run(folder)}
    connection.executemany("DELETE FROM runs WHERE name = ?", [(name,) for name in known.keys() - there.keys()])
    columns = ", ".join((*_FIELDS, "stamp"))
    holes = ", ".join("?" * (len(_FIELDS) + 1))
    for name, folder in there.items():
        # Read after the stamp was taken: what changes between the two is read again the next time.
        seen = stamp(folder)
        if known.get(name) != seen:
            row = read(folder)
            values = [_stored(getattr(row, field)) for field in _FIELDS]
            connection.execute(f"INSERT OR REPLACE INTO runs ({columns}) VALUES ({holes})", [*values, seen])  # noqa: S608


def _stored(value: object) -> object:
    # A folder's name may hold bytes that are no text; SQLite stores text only.
    return value.encode(errors="replace").decode() if isinstance(value, str) else value
