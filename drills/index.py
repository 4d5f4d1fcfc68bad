"""`index.sqlite`: a row for each run of a folder, for whoever wants to ask with SQL.

The folders of the runs are the truth, and the index is a copy that nothing here believes: a list is read from the
folders, and the index is made the same on the way. So it cannot miss a run, nothing is lost with it, one that is
damaged is made anew, and one that somebody edited changes no list. SQLite's locks and its journal keep it whole when
two drills end at once and when one is killed at any byte.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from drills.kept import Kept, is_run, read

INDEX_FILE = "index.sqlite"
_VERSION = 2
_WAIT_S = 30.0
_FIELDS = Kept.__struct_fields__
_NUMBERS = {"duration_s", "recovery_s", "resolution_s", "failback_s"}
_COUNTS = {"due", "lost", "slow", "switchovers", "recovered"}


def runs(root: Path) -> tuple[Kept, ...]:
    """Every run in a folder, newest first; none when there is no such folder."""
    if not root.is_dir():
        return ()
    return tuple(sorted(_used(root).values(), key=lambda run: (run.started_at, run.name), reverse=True))


def refresh(root: Path) -> str:
    """Bring the index of a folder up to date after a run; a sentence when it could not be, empty when it was."""
    try:
        _used(root)
    except (sqlite3.Error, OSError) as error:
        return f"{root / INDEX_FILE}: not written ({error}); `drill history` lists the runs all the same"
    return ""


def _used(root: Path) -> dict[str, Kept]:
    """The runs, by name, read from their folders, with the index made the same. A damaged one is made anew."""
    path = root / INDEX_FILE
    try:
        return _same(path, root)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            # A folder that may only be read, or another drill that holds the lock for too long.
            return _read(root)
    except sqlite3.DatabaseError:
        pass  # no database, or none that can be mended
    path.unlink(missing_ok=True)
    path.with_name(f"{INDEX_FILE}-journal").unlink(missing_ok=True)
    return _same(path, root)


def _read(root: Path) -> dict[str, Kept]:
    return {folder.name: read(folder) for folder in root.iterdir() if is_run(folder)}


def _same(path: Path, root: Path) -> dict[str, Kept]:
    with _connected(str(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        # Read while nobody else writes: two drills that end at once must not take out each other's run.
        found = _read(root)
        _write(connection, found)
        connection.execute("COMMIT")
    return found


@contextmanager
def _connected(where: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(where, timeout=_WAIT_S, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def _write(connection: sqlite3.Connection, found: Mapping[str, Kept]) -> None:
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("damaged")
    rows = sorted(tuple(_stored(getattr(run, field)) for field in _FIELDS) for run in found.values())
    if _as_made(connection) and connection.execute(f"SELECT {_NAMES} FROM runs ORDER BY name").fetchall() == rows:  # noqa: S608
        return
    connection.execute("DROP TABLE IF EXISTS runs")
    connection.execute(_TABLE)
    connection.executemany(f"INSERT INTO runs ({_NAMES}) VALUES ({_HOLES})", rows)  # noqa: S608  our own names
    connection.execute(f"PRAGMA user_version = {_VERSION}")


def _as_made(connection: sqlite3.Connection) -> bool:
    """Whether the table is the one that this version makes, and nobody put anything beside it, such as a trigger."""
    made = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return made == [(_TABLE,)] and connection.execute("PRAGMA user_version").fetchone() == (_VERSION,)


def _type(name: str) -> str:
    return "REAL" if name in _NUMBERS else "INTEGER" if name in _COUNTS else "TEXT NOT NULL"


_NAMES = ", ".join(_FIELDS)
_HOLES = ", ".join("?" * len(_FIELDS))
_TABLE = f"CREATE TABLE runs ({', '.join(f'{name} {_type(name)}' for name in _FIELDS)}, PRIMARY KEY (name))"


def _stored(value: object) -> object:
    # A folder's name may hold bytes that are no text; SQLite stores text only.
    return value.encode(errors="replace").decode() if isinstance(value, str) else value
