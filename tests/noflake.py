"""How often the gate is wrong, measured with real runs: `python tests/noflake.py --gates 50 --load 1 --at-once 2`.

Not a test: fifty gates take the best part of an hour. The gateway is the scripted one, whose switchover is known: 0.8 s
on the base, `--effect` times as long on the head. `--load` keeps so many processes busy meanwhile, and gates that run
at once load the machine for each other. Each gate's outcome is added to `--out` as it is known, so that the count can
go on another day; the sum of all that is in it is printed.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent / "calibration"
SWITCH_S = 0.8


def gate(folder: Path, effect: float, pairs: int) -> dict[str, object]:
    """One gate, with a head whose switchover takes `effect` times as long."""
    for side, switch_s in (("base", SWITCH_S), ("head", SWITCH_S * effect)):
        settings = {
            "mode": "switch",
            "switch_s": switch_s,
            "return_s": 0.1,
            "truth_file": str(folder / f"{side}.truth"),
        }
        (folder / f"{side}.json").write_text(json.dumps(settings))
    began_s = time.monotonic()
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "drills.cli", "gate", HERE / "switchover-500ms.yaml"),
            *("--gateway", HERE / "scripted.yaml", "--base", folder / "base.json", "--head", folder / "head.json"),
            *("--budget", "1h", "--pairs", str(pairs), "--json", "--out", folder / "runs"),
        ],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        check=False,
    )
    if not done.stdout:
        raise SystemExit(done.stderr.decode())
    found = json.loads(done.stdout)
    [finding] = found["findings"]
    return {
        "effect": effect,
        "pairs": pairs,
        "outcome": found["outcome"],
        "why": finding["why"],
        "ratio": (finding["times"] or {}).get("ratio"),
        "base": finding["base"],
        "head": finding["head"],
        "took_s": round(time.monotonic() - began_s, 1),
        "load_average": os.getloadavg()[0],
    }


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """Processes that do nothing but keep a core busy."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def main() -> None:
    """Count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gates", type=int, default=50)
    parser.add_argument("--effect", type=float, default=1.0, help="1 is an unchanged gateway, 1.25 a quarter more")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--load", type=int, default=0, help="busy processes")
    parser.add_argument("--at-once", type=int, default=1, help="so many gates at a time")
    parser.add_argument("--for", dest="for_s", type=float, default=1e9, help="begin no gate after so many seconds")
    parser.add_argument("--out", type=Path, default=Path("noflake.jsonl"))
    args = parser.parse_args()
    until_s = time.monotonic() + args.for_s

    def one(_number: int) -> None:
        if time.monotonic() > until_s:
            return
        with tempfile.TemporaryDirectory() as folder:
            row = {"load": args.load, "at_once": args.at_once, **gate(Path(folder), args.effect, args.pairs)}
        line = json.dumps(row)
        print(line, flush=True)  # noqa: T201
        with args.out.open("a") as file:
            file.write(line + "\n")

    with busy(args.load), ThreadPoolExecutor(args.at_once) as pool:
        list(pool.map(one, range(args.gates)))
    rows = [json.loads(line) for line in args.out.read_text().splitlines()]
    counts = collections.Counter((row["effect"], row["load"], row.get("at_once", 1), row["outcome"]) for row in rows)
    for (effect, load, at_once, outcome), count in sorted(counts.items()):
        print(f"effect {effect:g}, {load} busy processes, {at_once} at once: {outcome} {count}")  # noqa: T201


if __name__ == "__main__":
    main()
