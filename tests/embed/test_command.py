"""`deploypipe embed`: a project of each kind, what is refused, and nothing left behind."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploypipe import cache
from deploypipe.bundle import archive, integrity
from deploypipe.embed import NAMES, get
from deploypipe.embed.project import write
from deploypipe.embed.template import settings
from deploypipe.errors import DeployError
from deploypipe.native import PROJECT

from .conftest import Embed, Shell

Cli = Callable[..., Any]
Alter = Callable[..., Path]

# What jinja2 would have replaced; Kotlin, JavaScript and C++ have double braces of their own.
MARKS = re.compile(r"\{%|\{#|\{\{ ?[a-z_.]+( \| \w+)? ?\}\}")
TEXTS = {".cpp", ".h", ".html", ".js", ".json", ".kt", ".kts", ".md", ".mjs", ".py", ".sh", ".swift", ".txt", ".xml"}
THEIRS = {"bundle", "third_party", "sdk"}


def texts(project: Path) -> list[Path]:
    files = [path for path in project.rglob("*") if path.suffix in TEXTS]
    return [path for path in files if not THEIRS & set(path.relative_to(project).parts)]


@pytest.mark.parametrize("kind", NAMES)
def test_a_project_of_each_kind_has_the_bundle_inside_and_is_rendered(
    cli: Cli, hashing_onnx: Path, tmp_path: Path, kind: str
) -> None:
    done = cli("embed", hashing_onnx, "project", "--for", kind, code=0)
    assert f"hashing for {kind} is in project" in done.stdout
    project = tmp_path / "work" / "project"
    with archive.opened(project / settings(get(kind).folder).bundle) as (_, manifest):
        assert manifest == integrity.check(hashing_onnx)
    assert not [path for path in project.rglob("*") if path.suffix == ".jinja" or path.name == "embed.toml"]
    assert texts(project)
    assert not [path for path in texts(project) if MARKS.search(path.read_text())]
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["project"]


def test_a_zip_and_an_empty_folder_will_do(cli: Cli, onnx_bundle: Path, tmp_path: Path) -> None:
    archive.pack_zip(onnx_bundle, tmp_path / "bundle.zip")
    (tmp_path / "work" / "empty").mkdir()
    cli("embed", tmp_path / "bundle.zip", "empty", "--for", "cpp", code=0)
    assert (tmp_path / "work" / "empty" / "bundle" / "model.onnx").is_file()


@pytest.mark.parametrize(
    ("kind", "runtime", "said"),
    [
        ("browser", "aotinductor", "A bundle for aotinductor cannot run in a browser. Build one with `--runtime onnx"),
        ("android", "torchscript", "A bundle for torchscript cannot run in an Android app. Build one with `--runtime"),
        ("ios", "litert", "A bundle for litert cannot run in an iOS app. Build one with `--runtime onnxruntime`."),
        ("cpp", "tflite-runtime", "A bundle for tflite-runtime cannot run in a C++ program. Build one with"),
    ],
)
def test_what_cannot_work_is_refused(altered: Alter, tmp_path: Path, kind: str, runtime: str, said: str) -> None:
    bundle = altered(lambda manifest: manifest["runtime"].update(name=runtime))
    with pytest.raises(DeployError, match=re.escape(said)):
        write(bundle, get(kind), tmp_path / "below" / "project")
    assert not (tmp_path / "below").exists()


def test_a_kind_that_is_not_there_is_bad_input(cli: Cli, onnx_bundle: Path) -> None:
    said = cli("embed", onnx_bundle, "project", "--for", "windows", code=2).stderr
    assert "Error: There is no kind of project 'windows'." in said


def test_an_op_library_that_the_artifact_needs_is_refused_for_phones(
    altered: Alter, hashing_onnx: Path, tmp_path: Path
) -> None:
    bundle = altered(lambda manifest: manifest["runtime"].update(name="litert"), hashing_onnx)
    with pytest.raises(DeployError, match="This bundle needs its op library, which is for linux-") as caught:
        write(bundle, get("android"), tmp_path / "project")
    assert caught.value.cure == "Build one without: `--runtime litert --decomposed`."


def test_an_op_library_that_stays_unused_or_is_for_another_machine_is_told(
    cli: Cli, altered: Alter, hashing_onnx: Path
) -> None:
    said = cli("embed", hashing_onnx, "browser", "--for", "browser", code=0).stdout
    assert re.search(
        r"Note: Its op library, for linux-\w+, stays unused in a browser: the artifact runs without\.", said
    )
    bundle = altered(lambda manifest: manifest.update(platform="linux-riscv64"), hashing_onnx)
    said = cli("embed", bundle, "cpp", "--for", "cpp", code=0).stdout
    assert "Note: Its op library is for linux-riscv64; this is linux-" in said


def test_a_damaged_bundle_is_refused_before_anything_is_written(onnx_bundle: Path, tmp_path: Path) -> None:
    (onnx_bundle / "model.onnx").write_bytes(b"")
    with pytest.raises(DeployError, match=r"model\.onnx in \S+ has 0 bytes instead of"):
        write(onnx_bundle, get("cpp"), tmp_path / "below" / "project")
    assert not (tmp_path / "below").exists()


@pytest.mark.parametrize("place", ["full", "file", "file/below", "link"])
def test_a_place_that_is_in_use_stays_as_it_is(onnx_bundle: Path, tmp_path: Path, place: str) -> None:
    home = tmp_path / "home"
    (home / "full").mkdir(parents=True)
    (home / "full" / "mine").write_text("mine")
    (home / "file").write_text("mine")
    (home / "link").symlink_to(home / "full")
    before = sorted(home.rglob("*"))
    with pytest.raises(DeployError, match=r"/home/\S+ (is in use|cannot be written)"):
        write(onnx_bundle, get("cpp"), home / place)
    assert sorted(home.rglob("*")) == before


def test_a_project_that_cannot_be_finished_leaves_nothing(
    onnx_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "write_zip", full)
    (tmp_path / "home").mkdir()
    with pytest.raises(DeployError, match="project cannot be written: No space left on device"):
        write(onnx_bundle, get("android"), tmp_path / "home" / "project")
    assert not list((tmp_path / "home").iterdir())


@pytest.mark.parametrize("kind", ["cpp", "android"])
def test_a_bundle_is_not_changed_by_a_project_inside_of_it(onnx_bundle: Path, kind: str) -> None:
    with pytest.raises(DeployError, match="lies in the bundle, which it would change"):
        write(onnx_bundle, get(kind), onnx_bundle / "lib" / "project")
    integrity.check(onnx_bundle)


def test_a_bundle_is_read_whole_only_once(onnx_bundle: Path, embed: Embed, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Path] = []
    check = integrity.check
    monkeypatch.setattr(integrity, "check", lambda bundle: (checked.append(bundle), check(bundle))[1])
    embed(onnx_bundle, "android")
    assert checked == [onnx_bundle]


@pytest.mark.slow
def test_a_python_project_passes_its_own_test(cli: Cli, hashing_onnx: Path, tmp_path: Path, shell: Shell) -> None:
    said = cli("embed", hashing_onnx, "project", "--for", "python", code=0).stdout
    steps = said.partition("Next:")[2].split("\n")
    assert [step.strip() for step in steps[2:4]] == ["python -m pytest", "python -m server"]
    environment = "env PYTHONPATH= "
    assert " passed" in shell(environment + steps[2].strip(), tmp_path / "work" / "project").stdout


@pytest.mark.slow
def test_a_browser_project_passes_its_own_test(cli: Cli, hashing_onnx: Path, tmp_path: Path, shell: Shell) -> None:
    modules = cache.root() / "browser" / "node_modules"
    if not modules.is_dir() or shutil.which("node") is None:
        pytest.skip(f"there is no node, or no {modules}")
    cli("embed", hashing_onnx, "project", "--for", "browser", code=0)
    project = tmp_path / "work" / "project"
    (project / "node_modules").symlink_to(modules.resolve())
    assert "pass: " in shell("npm test", project).stdout


def test_projects_for_phones_have_the_sources_of_the_sdk_and_no_copy_is_stored(onnx_bundle: Path, embed: Embed) -> None:
    header = Path("include", "deploypipe", "deploypipe.h")
    for kind, copy in (("android", "deploypipe/src/main/cpp/sdk"), ("ios", "Sources/CDeploypipe")):
        found = embed(onnx_bundle, kind) / copy / header
        assert found.read_bytes() == (PROJECT.directory / "sdk" / header).read_bytes()
        assert not list(get(kind).folder.rglob("deploypipe.h"))


HOSTILE = 'x"); evil(" ${evil()} {{ 7 * 7 }} </string>'


def test_the_words_of_a_hostile_manifest_stay_words(altered: Alter, embed: Embed) -> None:
    project = embed(altered(lambda manifest: manifest.update(model=HOSTILE)), "android")
    [line] = [each for each in (project / "settings.gradle.kts").read_text().splitlines() if "rootProject" in each]
    assert json.loads(line.partition(" = ")[2].replace("\\$", "$")) == HOSTILE
    assert "\\${evil()}" in line
    assert (project / "app/src/main/res/values/strings.xml").read_text().count("</string>") == 1


def test_a_hostile_version_of_a_runtime_stays_a_word(altered: Alter, embed: Embed) -> None:
    project = embed(altered(lambda manifest: manifest["runtime"].update(built_with=HOSTILE)), "android")
    gradle = (project / "deploypipe/build.gradle.kts").read_text()
    [package] = re.findall(r"runtimeOnly\((.+)\)$", gradle, re.MULTILINE)
    assert json.loads(package.replace("\\$", "$")) == f"com.microsoft.onnxruntime:onnxruntime-android:{HOSTILE}"
    assert "\\${evil()}" in package
