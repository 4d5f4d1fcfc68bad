"""Where a Portkey comes from: the person's own, or one that npm installs once. No network: npm is a script here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from drills import doctor
from drills.gateways import portkey_install
from drills.problems import UsageProblem


def program(folder: Path, name: str, script: str) -> None:
    """A program of that name in a folder."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def surroundings(tmp_path: Path, npm: str | None = None, node: str | None = "v20.1.0", **more: str) -> dict[str, str]:
    """An environment with these programs on PATH, and a cache of its own."""
    if node is not None:
        program(tmp_path / "bin", "node", f"echo {node}")
    if npm is not None:
        program(tmp_path / "bin", "npm", npm)
    return {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "FAILOVER_DRILL_CACHE": str(tmp_path / "cache"), **more}


def only(tmp_path: Path, env: dict[str, str]) -> dict[str, str]:
    """The same with nothing else on PATH."""
    return {**env, "PATH": str(tmp_path / "bin")}


INSTALLS = """
while [ "$1" != --prefix ]; do shift; done
mkdir -p "$2/node_modules/@portkey-ai/gateway/build"
echo '{"name": "@portkey-ai/gateway", "version": "1.15.2"}' > "$2/node_modules/@portkey-ai/gateway/package.json"
touch "$2/node_modules/@portkey-ai/gateway/build/start-server.js"
echo "npm http fetch GET 200 somewhere"
echo run >> "$2/../runs"
"""


def test_it_is_installed_once(tmp_path: Path) -> None:
    """The second time nothing is run, and npm may be gone. The version is that of the installed package."""
    env, said = surroundings(tmp_path, INSTALLS), list[str]()
    assert portkey_install.installed(env) is None
    assert portkey_install.prepare(said.append, env) == "1.15.2"
    assert said[0].startswith(f"installing Portkey 1.15.2 once, into {tmp_path / 'cache'}/portkey-1.15.2-")
    assert said[-1] == "Portkey 1.15.2 installed in 0 s"
    program(tmp_path / "bin", "npm", "exit 9")
    assert portkey_install.prepare(said.append, env) == "1.15.2"
    assert (tmp_path / "cache" / "runs").read_text() == "run\n"
    assert len(said) == 2
    assert portkey_install.installed(env) == "1.15.2"
    assert portkey_install.start_script(env).is_file()


def test_an_interrupted_install_is_done_again(tmp_path: Path) -> None:
    """What has no marker is a leftover."""
    env = surroundings(tmp_path, INSTALLS)
    leftover = portkey_install.folder(env) / "node_modules" / "half"
    leftover.mkdir(parents=True)
    assert portkey_install.prepare(print, env) == "1.15.2"
    assert not leftover.exists()


REASON = "request to it failed, reason: getaddrinfo ENOTFOUND"
FAILURES = [
    (
        (
            f"npm error code ENOTFOUND\nnpm error errno ENOTFOUND\nnpm error network {REASON}\n"
            "npm error network This is a problem related to network connectivity.\nnpm error network\n"
            "npm error A complete log of this run can be found in: x"
        ),
        (
            f"the package registry cannot be reached ({REASON}); the first run needs the network, or "
            "FAILOVER_DRILL_PORTKEY=/path/to/an/installed/portkey"
        ),
    ),
    (
        "npm error code ENOSPC\nnpm error nospc no space left on device",
        "the disk is full (nospc no space left on device)",
    ),
    ("npm ERR! code E404\nnpm ERR! 404 Not Found", "404 Not Found"),
    ("", "no output"),
]


@pytest.mark.parametrize(("output", "sentence"), FAILURES)
def test_an_install_that_fails(tmp_path: Path, output: str, sentence: str) -> None:
    """One sentence out of npm's words, and nothing is left behind."""
    (tmp_path / "words").write_text(output)
    env = surroundings(tmp_path, f"cat {tmp_path / 'words'} >&2; exit 1")
    with pytest.raises(UsageProblem) as caught:
        portkey_install.prepare(print, env)
    assert str(caught.value) == f"cannot install Portkey 1.15.2: {sentence}"
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_no_node(tmp_path: Path) -> None:
    """What is missing is said, by a drill and by the doctor."""
    env = only(tmp_path, surroundings(tmp_path, INSTALLS, node=None))
    sentence = "Portkey runs on Node, and there is no `node` on PATH; install Node 18.14 or newer"
    with pytest.raises(UsageProblem) as caught:
        portkey_install.prepare(print, env)
    assert str(caught.value) == sentence
    part = next(part for part in doctor.look(env).parts if part.name == "portkey")
    assert (part.version, part.detail) == (None, sentence)


@pytest.mark.parametrize(("version", "old"), [("v18.13.9", True), ("v16.20.2", True), ("v18.14.0", False)])
def test_an_old_node(tmp_path: Path, version: str, old: bool) -> None:
    """Portkey's server needs 18.14."""
    env = surroundings(tmp_path, node=version)
    if old:
        with pytest.raises(UsageProblem, match=rf"Portkey needs Node 18\.14 or newer; .*node is {version}"):
            portkey_install.node(env)
    else:
        assert portkey_install.node(env) == str(tmp_path / "bin" / "node")


def test_no_npm(tmp_path: Path) -> None:
    """Node alone does not install anything."""
    env = only(tmp_path, surroundings(tmp_path))
    with pytest.raises(UsageProblem, match=r"no `npm` on PATH to install Portkey 1\.15\.2 with"):
        portkey_install.prepare(print, env)


def own(tmp_path: Path, server: str = "") -> Path:
    """A folder in which somebody installed a Portkey, with this version of its server."""
    package = tmp_path / "own" / "node_modules" / "@portkey-ai" / "gateway"
    (package / "build").mkdir(parents=True)
    (package / "build" / "start-server.js").write_text("")
    (package / "package.json").write_text('{"name": "@portkey-ai/gateway", "version": "1.14.3"}')
    if server:
        hono = tmp_path / "own" / "node_modules" / "@hono" / "node-server"
        hono.mkdir(parents=True)
        (hono / "package.json").write_text(f'{{"version": "{server}"}}')
    return tmp_path / "own"


@pytest.mark.parametrize(
    "where",
    [
        "",
        "node_modules/@portkey-ai/gateway",
        "node_modules/@portkey-ai/gateway/build/start-server.js",
    ],
    ids=["folder", "package", "script"],
)
def test_ones_own(tmp_path: Path, where: str) -> None:
    """The script, its package, or the folder in which it was installed; no npm is run."""
    folder = own(tmp_path)
    env = surroundings(tmp_path, "exit 9", FAILOVER_DRILL_PORTKEY=str(folder / where))
    said: list[str] = []
    assert portkey_install.prepare(said.append, env) == "1.14.3" == portkey_install.installed(env)
    assert said == ["Portkey 1.14.3 from FAILOVER_DRILL_PORTKEY"]
    assert portkey_install.start_script(env).resolve() == (
        folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    )


@pytest.mark.parametrize(
    ("server", "warned"), [("1.13.5", False), ("1.14.0", False), ("1.19.19", True), ("2.0.0", True)]
)
def test_ones_own_that_cannot_stream(tmp_path: Path, server: str, warned: bool) -> None:
    """The known mistake of a plain `npm install` is pointed out; the drill shows what it costs."""
    env = surroundings(tmp_path, FAILOVER_DRILL_PORTKEY=str(own(tmp_path, server)))
    said: list[str] = []
    portkey_install.prepare(said.append, env)
    assert any(f"@hono/node-server {server}, with which it cannot stream" in line for line in said) is warned


def test_what_is_no_portkey(tmp_path: Path) -> None:
    """A folder without one, a script that belongs to nothing, and nothing at all."""
    (tmp_path / "start-server.js").write_text("")
    for path, what in (
        (tmp_path, "is neither a start-server.js nor a folder with one"),
        (tmp_path / "none", "is neither a start-server.js nor a folder with one"),
        (tmp_path / "start-server.js", "is no Portkey"),
    ):
        env = surroundings(tmp_path, FAILOVER_DRILL_PORTKEY=str(path))
        with pytest.raises(UsageProblem, match=what):
            portkey_install.prepare(print, env)
        part = next(part for part in doctor.look({**os.environ, **env}).parts if part.name == "portkey")
        assert part.version is None
        assert what in part.detail


def test_the_lock_file_pins_what_makes_streams_work() -> None:
    """The versions of the overrides are those of the lock, nothing says where packages are kept, all are checked."""
    wanted = json.loads(portkey_install._resource("portkey.package.json"))
    lock = json.loads(portkey_install._resource("portkey.lock.json"))
    packages = lock["packages"]
    assert packages[""]["dependencies"] == wanted["dependencies"]
    for name, version in {**wanted["dependencies"], **wanted["overrides"]}.items():
        assert packages[f"node_modules/{name}"]["version"] == version
    assert packages["node_modules/@portkey-ai/gateway"]["version"] == portkey_install.VERSION
    assert all(package["integrity"].startswith("sha512-") for name, package in packages.items() if name)
    assert not any("resolved" in package for package in packages.values())
