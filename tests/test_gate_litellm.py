"""A change of a real LiteLLM's config, caught by the gate. `gate_litellm.py` beside this runs all of them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from drilling import drill
from gate_litellm import BASE, CASES

from drills.gate.result import GateResult
from drills.gate.trials import Outcome

pytestmark = pytest.mark.clock

SHORT = """\
name: Loss of a whole cloud, loudly
objective: Callers keep getting answers when the cloud of the first choice is gone.
load: {rate: 10/s, streaming: 50%, deadline: 10s}
timeline:
  - {phase: steady, for: 1s}
  - {phase: outage, for: 3s, faults: [status: {cloud_of: primary, code: 503}]}
  - {phase: recovery, for: 1s}
expect:
  switchover: {within: 2s}
"""


@pytest.mark.gateway
def test_a_fallback_in_the_same_cloud(tmp_path: Path) -> None:
    """Worse, in two pairs of real runs; cause, line and effect in one sentence."""
    head, code, said = CASES["same-cloud"]
    for name, text in (("base.yaml", BASE), ("head.yaml", head), ("short.yaml", SHORT)):
        (tmp_path / name).write_text(text)
    words = ("--base", "base.yaml", "--head", "head.yaml", "--budget", "30s", "--pairs", "1", "--json")
    ran = drill("gate", "short.yaml", *words, cwd=tmp_path)
    assert ran.code == code, ran.err + ran.out
    found = msgspec.json.decode(ran.out, type=GateResult)
    assert found.outcome is Outcome.WORSE
    told = next(change for change in found.changes if change.what == said)
    assert told.place is not None
    assert head.splitlines()[told.place.line - 1].strip().startswith("model: bedrock/us.amazon")
    assert "in Loss of a whole cloud, loudly, callers are not answered well again within" in told.said
    [finding] = found.findings
    assert (finding.base, finding.head) == ("2 pass", "2 fail")
    assert all((tmp_path / folder / "result.json").is_file() for folder in finding.runs_base + finding.runs_head)
