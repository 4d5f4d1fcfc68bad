"""What a route puts into a program's environment: programs of several kinds are run in it, before a relay and a plane.

Each asks for one host of a leg and one of nobody's, in the ways that its language has, and says what came of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from plane_harness import Bench, bench, host_of
from test_relay import RelayProcess, relaying

from drills.authority import Authority
from drills.routing.surroundings import Surroundings, proxied, together, trust

LEG = "openai"
URL = f"https://{host_of(LEG)}/v1/models"
NOBODYS = "https://example.com/"

PYTHON = """
import sys, httpx, requests, urllib.request, asyncio, aiohttp

async def by_aiohttp(url):
    async with aiohttp.ClientSession(trust_env=True) as session, session.get(url) as answer:
        return answer.status

ways = {
    "httpx": lambda url: httpx.get(url).status_code,
    "requests": lambda url: requests.get(url).status_code,
    "urllib": lambda url: urllib.request.urlopen(url).status,
    "aiohttp": lambda url: asyncio.run(by_aiohttp(url)),
}
for url in sys.argv[1:]:
    for name, way in ways.items():
        try:
            print(name, way(url))
        except Exception as error:
            print(name, "failed")
"""

NODE = """
const https = require('node:https');
const byHttps = (url) => new Promise((done, failed) => {
  https.get(url, (answer) => { answer.resume(); done(answer.statusCode); }).on('error', failed);
});
const ways = { fetch: async (url) => (await fetch(url)).status, https: byHttps };
(async () => {
  for (const url of process.argv.slice(1))
    for (const [name, way] of Object.entries(ways))
      console.log(name, await way(url).catch(() => 'failed'));
})();
"""

JAVA = """
import java.net.*; import java.net.http.*;
public class Ask {
  public static void main(String[] urls) throws Exception {
    for (String url : urls) {
      String said;
      try { said = "" + ((HttpURLConnection) new URL(url).openConnection()).getResponseCode(); }
      catch (java.io.IOException error) { said = "failed"; }
      System.out.println("HttpURLConnection " + said);
      try {
        var request = HttpRequest.newBuilder(URI.create(url)).version(HttpClient.Version.HTTP_1_1).build();
        said = "" + HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).statusCode();
      } catch (java.io.IOException error) { said = "failed"; }
      System.out.println("HttpClient " + said);
    }
  }
}
"""

GO = """
package main
import ("fmt"; "net/http"; "os")
func main() {
  for _, url := range os.Args[1:] {
    answer, err := http.Get(url)
    if err != nil { fmt.Println("http failed") } else { fmt.Println("http", answer.StatusCode) }
  }
}
"""


@pytest.fixture(scope="module")
def rig() -> Iterator[Bench]:
    """A plane that speaks TLS in front of one simulated leg."""
    with bench({LEG: "openai"}, authority=Authority()) as found:
        yield found
        assert found.plane.troubles == []


@pytest.fixture(scope="module")
def relay(rig: Bench) -> Iterator[RelayProcess]:
    """A relay that knows the leg by its host."""
    with relaying({f"{host_of(LEG)}:443": rig.plane.ports[LEG]}) as found:
        yield found


def surroundings(rig: Bench, relay: RelayProcess, folder: Path) -> Surroundings:
    """What a route gives, its files written."""
    assert rig.authority is not None
    found = together(proxied(relay.port, folder), trust(rig.authority, folder))
    for name, content in found.files.items():
        Path(name).write_bytes(content)
    return found


def said(words: list[str], env: dict[str, str], cwd: Path) -> dict[str, list[str]]:
    """Run a program in an environment; what it says of each way, for the leg's host and for nobody's."""
    plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [*words, URL, NOBODYS], env=plain | env, cwd=cwd, capture_output=True, text=True, timeout=120, check=True
    )
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        name, _, came = line.partition(" ")
        found.setdefault(name, []).append(came)
    return found


def program(name: str) -> str:
    """The program, or a skipped test."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} here")
    return found


def test_python(rig: Bench, relay: RelayProcess, tmp_path: Path) -> None:
    """Four libraries reach the leg and nobody else."""
    env = surroundings(rig, relay, tmp_path).env
    found = said([sys.executable, "-c", PYTHON], env, tmp_path)
    assert found == {name: ["200", "failed"] for name in ("httpx", "requests", "urllib", "aiohttp")}


def test_node(rig: Bench, relay: RelayProcess, tmp_path: Path) -> None:
    """The newer fetch and the older https, also in versions that ignore the variables."""
    env = surroundings(rig, relay, tmp_path).env
    found = said([program("node"), "-e", NODE], env, tmp_path)
    assert found == {"fetch": ["200", "failed"], "https": ["200", "failed"]}


def test_java(rig: Bench, relay: RelayProcess, tmp_path: Path) -> None:
    """The old client and the new one."""
    env = surroundings(rig, relay, tmp_path).env
    (tmp_path / "Ask.java").write_text(JAVA)
    program("javac")
    found = said([program("java"), "Ask.java"], env, tmp_path)
    assert found == {"HttpURLConnection": ["200", "failed"], "HttpClient": ["200", "failed"]}


@pytest.mark.sdk
def test_go(rig: Bench, relay: RelayProcess, tmp_path: Path) -> None:
    """net/http."""
    env = surroundings(rig, relay, tmp_path).env
    (tmp_path / "ask.go").write_text(GO)
    go = program("go")
    subprocess.run([go, "build", "-o", "ask", "ask.go"], cwd=tmp_path, check=True, timeout=280)
    assert said([str(tmp_path / "ask")], env, tmp_path) == {"http": ["200", "failed"]}


def test_curl(rig: Bench, relay: RelayProcess, tmp_path: Path) -> None:
    """What people try first."""
    env = surroundings(rig, relay, tmp_path).env
    words = [program("curl"), "-s", "-o", "/dev/null", "-w", "%{http_code}"]
    plain = {"PATH": os.environ["PATH"]}
    answers = [
        subprocess.run([*words, url], env=plain | env, capture_output=True, text=True, check=False).stdout
        for url in (URL, NOBODYS)
    ]
    assert answers == ["200", "000"]


def test_no_other_authority_is_trusted(rig: Bench, relay: RelayProcess, tmp_path: Path) -> None:
    """With the variables, the usual authorities are gone: there is one, the run's. No path needs quotes."""
    env = surroundings(rig, relay, tmp_path).env
    count = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
    plain = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", count], env=plain | env, capture_output=True, text=True, check=True
    ).stdout
    assert done == "1\n"
    assert not (tmp_path / "no-other-authorities").exists()
    assert all(" " not in value for name, value in env.items() if not name.endswith("OPTIONS"))


def test_options_stand_side_by_side() -> None:
    """Two parts may both have something to say to Node and to Java; of other variables the later part wins."""
    one = Surroundings({"NODE_OPTIONS": "--a", "X": "1"}, {"f": b"1"})
    other = Surroundings({"NODE_OPTIONS": "--b", "JAVA_TOOL_OPTIONS": "-Dc", "X": "2"}, {"g": b"2"})
    assert together(one, other) == Surroundings(
        {"NODE_OPTIONS": "--a --b", "JAVA_TOOL_OPTIONS": "-Dc", "X": "2"}, {"f": b"1", "g": b"2"}
    )
