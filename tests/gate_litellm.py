"""Five changes of a LiteLLM config and one that is none, each through the gate with the real LiteLLM.

Not a test: `python tests/gate_litellm.py [NAME ...]` takes about ten minutes. Each must end with the exit code and the
sentence that stand here; the script ends with 1 when one does not.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

BASE = """\
model_list:
  - model_name: chat
    litellm_params:
      model: bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0
      aws_region_name: us-east-1
      aws_access_key_id: os.environ/AWS_ACCESS_KEY_ID
      aws_secret_access_key: os.environ/AWS_SECRET_ACCESS_KEY
      timeout: 5
      stream_timeout: 5
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o
      api_base: https://acme-ai-swedencentral.openai.azure.com
      api_version: "2024-10-21"
      api_key: os.environ/AZURE_API_KEY
      timeout: 5
      stream_timeout: 5
router_settings:
  num_retries: 0
  allowed_fails: 2
  cooldown_time: 15
  fallbacks:
    - chat: [gpt-4o]
"""
AZURE = """\
      model: azure/gpt-4o
      api_base: https://acme-ai-swedencentral.openai.azure.com
      api_version: "2024-10-21"
      api_key: os.environ/AZURE_API_KEY
"""
AWS = """\
      model: bedrock/us.amazon.nova-pro-v1:0
      aws_region_name: us-west-2
      aws_access_key_id: os.environ/AWS_ACCESS_KEY_ID
      aws_secret_access_key: os.environ/AWS_SECRET_ACCESS_KEY
"""
CASES = {
    # name: the head, the exit code, what its summary must say
    "typo": (BASE.replace("[gpt-4o]", "[gpt4-o]"), 2, "did you mean 'gpt-4o'?"),
    "no-fallback": (
        BASE.replace("  fallbacks:\n    - chat: [gpt-4o]\n", ""),
        2,
        "the fallback chat -> gpt-4o was removed",
    ),
    "same": (
        "# by another hand\n" + yaml.safe_dump(yaml.safe_load(BASE), sort_keys=True),
        0,
        "the configs mean the same; the head passes",
    ),
    "timeout": (
        BASE.replace("timeout: 5\n  - model_name: gpt", "timeout: 60\n  - model_name: gpt").replace(
            "      timeout: 5\n", "      timeout: 60\n", 1
        ),
        1,
        "timeout of chat raised from 5 s to 60 s",
    ),
    "cooldown": (BASE.replace("  cooldown_time: 15\n", ""), 1, "cooldown_time was dropped (it was 15 s, default 5 s)"),
    "same-cloud": (
        BASE.replace(AZURE, AWS),
        1,
        "the fallback bedrock-us-west-2-nova-pro now sits in the same cloud as the primary (aws)",
    ),
}


def main() -> int:
    """Run those that were named, or all; 1 when one is not what it must be."""
    wrong = 0
    for name in sys.argv[1:] or CASES:
        head, code, said = CASES[name]
        with tempfile.TemporaryDirectory() as folder:
            for side, text in (("base", BASE), ("head", head)):
                (Path(folder) / f"{side}.yaml").write_text(text)
            began_s = time.monotonic()
            done = subprocess.run(
                [
                    *(sys.executable, "-P", "-m", "drills.cli", "gate", "fast/cloud-outage", "--budget", "70s"),
                    *("--base", "base.yaml", "--head", "head.yaml", "--pairs", "1"),
                ],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
        good = done.returncode == code and said in done.stdout
        wrong += not good
        took_s = time.monotonic() - began_s
        print(f"== {name}: {'as it must be' if good else 'WRONG'}, exit code {done.returncode}, {took_s:.0f} s")  # noqa: T201
        print(done.stderr + done.stdout, flush=True)  # noqa: T201
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
