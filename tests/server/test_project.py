"""What `deploypipe embed --for python` writes is a project that proves itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploypipe import embed


@pytest.fixture
def project(built_hashing_script: Path, tmp_path: Path) -> Path:
    return embed.write(built_hashing_script, embed.get("python"), tmp_path / "project").place


@pytest.mark.slow
def test_its_own_tests_pass(project: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_its_requirements_are_ranges_and_the_op_librarys_torch(project: Path) -> None:
    lines = (project / "requirements.txt").read_text().splitlines()
    wanted = {each.name: each for each in (Requirement(line) for line in lines if not line.startswith("#"))}
    assert sorted(wanted) == [
        "deploypipe",
        "fastapi",
        "httptools",
        "prometheus-client",
        "torch",
        "uvicorn",
        "uvloop",
    ]
    assert all(each.specifier for each in wanted.values())
    assert str(wanted["torch"].specifier) == "==2.13.*"


def test_its_readme_names_the_tensors_of_the_model(project: Path) -> None:
    readme = (project / "README.md").read_text()
    assert "# hashing behind HTTP" in readme
    assert "output `index`: int64" in readme
    assert "{{" not in readme
    assert "not been built" in " ".join(readme.split())


def test_what_the_dockerfile_copies_is_there(project: Path) -> None:
    copied = [line.split()[1] for line in (project / "Dockerfile").read_text().splitlines() if line.startswith("COPY")]
    missing = [name for name in copied if not (project / name).exists()]
    assert missing == ["wheels"]  # the user puts deploypipe's wheel there, as the README says
