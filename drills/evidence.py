"""`drill verify` and `drill seal`, as text or JSON, and the line about its seal at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from drills import chain, verify
from drills.chain import Chain
from drills.documents.run import is_folder_of_run
from drills.kept import RESULT_FILE
from drills.manifest import MANIFEST_FILE, Sealer
from drills.problems import UsageProblem
from drills.sealing import seal, sign

if TYPE_CHECKING:
    from drills.signing import Signer  # brings a library that only signatures need


def signer_of(path: Path | None) -> Signer | None:
    """The key to sign with, if one was named; opened now, since a drill must not end with a wrong passphrase."""
    if path is None:
        return None
    from drills.signing import signer  # noqa: PLC0415  only who signs needs the library

    return signer(path)


def sealed_line(folder: Path, signer: Signer | None) -> str:
    """Seal a run that has just ended; a line to show. What prevents it changes nothing about the run's verdict."""
    try:
        sealed = seal(folder, Sealer.RUN, signer)
    except OSError as error:
        return f"note: not sealed: {error.filename or folder}: {error.strerror or error}; `drill seal` does it later"
    except UsageProblem as problem:
        return f"note: not sealed: {problem}"
    return f"{sealed}; kept elsewhere, it shows that nothing before it was changed{sealed.but}"


def verify_text(
    paths: Sequence[Path], key: Path | None, head: str, runs: Path | None = None, *, as_json: bool
) -> tuple[int, str]:
    """Verify: the exit code, and what to show. Raises `UsageProblem`."""
    verifier = None
    if key is not None:
        from drills import signing  # noqa: PLC0415  only who has a key needs the library

        verifier = signing.verifier(key)
    found = verify.verify(paths, verifier, head, runs)
    return found.exit_code, verify.as_json(found) if as_json else verify.as_text(found)


def seal_text(paths: Sequence[Path], key: Path | None) -> str:
    """Seal what is not sealed yet; of runs that all are, sign the last one. Raises `UsageProblem`."""
    signer = signer_of(key)
    return "\n".join(line for path in paths for line in _sealed(path, signer))


def _sealed(path: Path, signer: Signer | None) -> Iterator[str]:
    alone = is_folder_of_run(path)
    if not path.is_dir():
        raise UsageProblem(f"{path}: no such folder")
    root = path.resolve().parent if alone else path
    folders = [path] if alone else sorted(folder for folder in path.iterdir() if is_folder_of_run(folder))
    if not folders:
        raise UsageProblem(f"{path}: there is no run in it")
    found = chain.read(root)
    done = 0
    for folder in folders:
        if (folder / MANIFEST_FILE).exists() or found.sealed(folder.resolve().name) is not None:
            continue
        if not (folder / RESULT_FILE).is_file():
            yield f"{folder.name}: not sealed: it has no result; it was killed, or it is still running"
            continue
        sealed = seal(folder, Sealer.LATER, signer)
        yield f"{folder.name}: {sealed}{sealed.but}"
        done += 1
    if not done and signer is not None:
        # A signed manifest names the line before its own, and so covers every run before it.
        last = path if alone else root / _last_run(found, path)
        yield f"{last.name}: signed with {signer.fingerprint}: {sign(last, signer)}"
    elif not done:
        yield f"{path}: nothing to seal"


def _last_run(found: Chain, path: Path) -> str:
    standing = [link.line.subject for link in found.links if found.sealed(link.line.subject) is link]
    if not standing:
        raise UsageProblem(f"{path}: there is no sealed run in it to sign")
    return standing[-1]
