"""The installed product: a wheel in an environment of its own, outside the checkout, runs the main job."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from drilling import runs

from drills.result import Verdict, decode

pytestmark = pytest.mark.clock

ROOT = Path(__file__).parent.parent
PACKAGES = ("drills", "faults", "reports", "scenarios")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that the checkout stays clean."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in (*PACKAGES, "pyproject.toml", "README.md"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(source)]
    subprocess.run(words, check=True, capture_output=True, text=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_the_packages_and_the_data(wheel: Path) -> None:
    """Every module of the source tree, every scenario and sample config, and no test."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for pattern in ("*.py", "*.yaml", "*.toml", "*.txt", "*.html", "*.css", "*.json", "*.cjs")
        for path in (ROOT / package).rglob(pattern)
    }
    assert wanted - inside == set()
    assert {name.split("/")[0] for name in inside if ".dist-info" not in name} == set(PACKAGES)


@pytest.mark.gateway
@pytest.mark.timeout(600)
def test_the_installed_wheel_runs_the_main_job(wheel: Path, tmp_path: Path) -> None:
    """In a folder that holds packages named like ours, which must not be imported instead."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    subprocess.run([home / "bin" / "pip", "install", "--quiet", str(wheel)], check=True, capture_output=True)
    work = tmp_path / "work"
    for name in PACKAGES:
        (work / name).mkdir(parents=True)
        (work / name / "__init__.py").write_text("raise ImportError('the wrong package')\n")
    done = subprocess.run(
        [home / "bin" / "drill", "run", "cloud-outage.yaml"], cwd=work, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = runs(work)
    assert decode((folder / "result.json").read_bytes()).verdict is Verdict.PASS
