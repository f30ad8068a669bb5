"""The certificate of a DVC project: written, kept where bytes repeat, and compared by one command."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest
from ruamel.yaml import YAML

from src.certificate.environment import (
    OWN_KERNELS,
    RECORDS,
    SERVICE,
    describe_environment,
    doubts,
    driver_version,
    hash_path,
    record_environment,
    recorded_environment,
)
from src.certificate.runs import CERTIFICATE, StageRun
from src.certificate.writing import certified_stage
from tests.dvc_project import ROOT, Project

PIPELINE = """\
stages:
  double:
    cmd: python src/double.py
    deps: [data.txt, src/double.py]
    params: [factor]
    outs: [out/twice]
  count:
    foreach: [words, lines]
    do:
      cmd: wc --${item} < out/twice/all.txt > ${item}.txt && python src/record.py count@${item} ${item}.txt
      deps: [out/twice]
      outs: ["${item}.txt"]
"""
DOUBLE = """\
import os
from pathlib import Path
from src.certificate.environment import record_environment
Path("out/twice/deep").mkdir(parents=True, exist_ok=True)
Path("out/twice/deep/a.txt").write_text("a")
Path("out/twice/deep.txt").write_text(os.environ.get("ROUNDING", ""))
Path("out/twice/all.txt").write_text(Path("data.txt").read_text() * 2)
record_environment("double", ["out/twice"])
"""
RECORD = """\
import sys
from src.certificate.environment import record_environment
record_environment(sys.argv[1], sys.argv[2:])
"""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was reproduced, certified and committed."""
    folder = tmp_path_factory.mktemp("certified") / "project"
    project = Project(folder)
    files = {"data.txt": "one two\n", "dvc.yaml": PIPELINE, "params.yaml": "factor: 2\n"}
    project.start(files | {"src/double.py": DOUBLE, "src/record.py": RECORD, ".gitignore": "/.certificate/\n"})
    assert run(project, "write")[0] == 0
    project.call("git", "add", "--all")
    project.call("git", "commit", "--quiet", "--message", "certify")
    return folder


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Project:
    """A copy of it."""
    return Project(copytree(original, tmp_path / "project"))


def run(project: Project, *words: str) -> tuple[int, str]:
    """The exit status and the output of the command line."""
    done = project.run_module("src.certificate", *words)
    return done.returncode, done.stdout + done.stderr


def certificate(project: Project) -> dict[str, dict[str, object]]:
    """The stages of the project's certificate."""
    return dict(json.loads((project.folder / CERTIFICATE).read_text())["stages"])


def reproduce(project: Project, rounding: str = "") -> None:
    """Runs every stage again, on a machine that rounds in a way of its own."""
    project.environment["ROUNDING"] = rounding
    project.call("dvc", "repro", "--force", "--no-run-cache", "--quiet")


def test_it_tells_what_each_stage_was_given_and_gave_and_where(project: Project) -> None:
    stages = certificate(project)
    assert list(stages) == ["double", "count@words", "count@lines"]
    locked = YAML(typ="safe").load(project.folder / "dvc.lock")["stages"]["double"]
    assert stages["double"]["outputs"] == {"out/twice": locked["outs"][0]["md5"]}
    assert stages["double"]["parameters"] == {"factor": 2}
    assert list(stages["double"]["inputs"]) == ["data.txt"]  # type: ignore[call-overload]
    environment = stages["double"]["environment"]
    assert isinstance(environment, dict)
    assert environment["deterministic"] is True
    assert environment["python"] == ".".join(map(str, sys.version_info[:3]))


def test_a_run_that_repeats_the_bytes_leaves_it_as_it_is(project: Project) -> None:
    reproduce(project)
    status, output = run(project, "write")
    assert (status, output) == (
        0,
        "certificate: the results are the certified ones in all 3 stages; metrics/certificate.json stays as it is.\n",
    )
    assert project.call("git", "status", "--porcelain") == ""
    assert run(project, "compare") == (0, "HEAD and workspace have the same results in all 3 stages.\n")


def test_a_run_that_parts_is_named_and_certified_anew(project: Project) -> None:
    reproduce(project, "another")
    status, output = run(project, "compare")
    assert status == 4
    assert output.startswith("HEAD and workspace part in double: the same inputs, code and parameters gave other ")
    assert "  other results: out/twice\n  computed in equal environments" in output
    assert output.endswith(  # by a user who ran `dvc repro` alone
        "workspace's certificate is not of its results in any stage: `python -m src.certificate write` renews it.\n"
    )
    assert run(project, "write") == (0, "certificate: metrics/certificate.json is new for all stages.\n")
    status, output = run(project, "compare", "HEAD")
    assert status == 4
    assert "computed in equal environments, as far as they are recorded" in output
    assert "certificate" not in output


def test_results_that_dvc_brought_back_are_not_certified_as_computed_here(project: Project) -> None:
    (project.folder / "params.yaml").write_text("factor: 3\n")
    project.call("dvc", "repro", "--quiet")
    run(project, "write")
    project.call("git", "checkout", "--quiet", "HEAD", "--", CERTIFICATE, "params.yaml")
    reproduce(project, "another")  # the last run here, whose record stays
    project.call("git", "checkout", "--quiet", "HEAD", "--", "dvc.lock")
    project.call("dvc", "checkout", "--quiet", "--force")
    (project.folder / CERTIFICATE).unlink()
    status, output = run(project, "write")
    assert status == 0
    assert "is new for all stages. Not known is where double" in output
    assert certificate(project)["double"]["environment"] is None


def test_other_results_do_not_inherit_where_the_certified_ones_were_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where no stage has left a record
    certified = StageRun({"data.txt": "1"}, "code", {}, {"out.txt": "2"}, {"deterministic": True})
    other = replace(certified, outputs={"out.txt": "3"}, environment=None)
    assert certified_stage("double", other, certified, anew=False).environment is None
    assert certified_stage("double", replace(certified, environment=None), certified, anew=False) == certified


def test_where_it_ran_last_can_be_certified_anew(project: Project) -> None:
    path = project.folder / CERTIFICATE
    path.write_text(path.read_text().replace('"cores": ', '"cores": 99'))
    run(project, "write")
    assert '"cores": 99' in path.read_text()
    assert "is new for all stages" in run(project, "write", "--anew")[1]
    assert '"cores": 99' not in path.read_text()


def test_a_parameter_is_told_from_a_machine(project: Project) -> None:
    project.call("git", "checkout", "--quiet", "-b", "higher")
    (project.folder / "params.yaml").write_text("factor: 3\n")
    reproduce(project, "another")
    status, output = run(project, "compare")
    assert status == 3
    assert "double was given something else: factor: 2 / 3.\n" in output


@pytest.mark.parametrize("keep", ["metrics/certificate.json", "dvc.lock"])
def test_a_certificate_and_a_lock_can_be_compared_as_files(project: Project, tmp_path: Path, keep: str) -> None:
    theirs = tmp_path / f"theirs{Path(keep).suffix}"
    theirs.write_bytes((project.folder / keep).read_bytes())
    assert run(project, "compare", str(theirs))[0] == 0
    reproduce(project, "another")
    status, output = run(project, "compare", str(theirs), "workspace")
    assert (status, "part in double:" in output) == (4, True)


def test_an_experiment_can_be_compared(project: Project) -> None:
    project.call("dvc", "exp", "run", "--quiet", "--name", "tripled", "-S", "factor=3")
    project.call("git", "checkout", "--quiet", "--force", "HEAD")
    project.call("dvc", "checkout", "--quiet", "--force")
    status, output = run(project, "compare", "HEAD", "tripled")
    assert (status, "factor: 2 / 3" in output) == (0, True)  # the factor changes nothing, whatever its name


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["compare", "nowhere"], "nowhere is no commit, branch, tag or experiment here"),
        (["compare", "theirs.json"], "theirs.json is no file here"),
        (["compare", "params.yaml"], "params.yaml is neither a certificate"),
        (["compare", "list.json"], "list.json is neither a certificate"),
        (["compare", "part.json"], "part.json is neither a certificate"),
        (["compare", "HEAD", "broken.json"], "broken.json is damaged"),
        (["compare", "empty"], "empty has no dvc.lock with stages"),
    ],
)
def test_what_is_no_run_is_refused_in_a_sentence(project: Project, words: list[str], sentence: str) -> None:
    (project.folder / "list.json").write_text("[1]")
    (project.folder / "part.json").write_text('{"stages": {"train": {"inputs": {}}}}')
    (project.folder / "broken.json").write_text("{")
    project.call("git", "switch", "--quiet", "--orphan", "empty")
    project.call("git", "commit", "--quiet", "--allow-empty", "--message", "empty")
    project.call("git", "switch", "--quiet", "master")
    status, output = run(project, *words)
    assert status == 1
    assert output.startswith(f"certificate: {sentence}")
    assert len(output.splitlines()) == 1


def test_without_results_nothing_is_certified(project: Project) -> None:
    (project.folder / "dvc.lock").unlink()
    status, output = run(project, "write")
    assert (status, output.startswith("certificate: The workspace has no dvc.lock")) == (1, True)


def test_neither_command_imports_what_is_slow() -> None:
    code = "import sys, src.certificate.comparing, src.certificate.writing; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "polars", "transformers", "dvc"} & set(done.stdout.split())


def test_the_hash_of_a_folder_is_dvcs(project: Project) -> None:
    """Of one where the paths' order is not that of their parts."""
    lock = YAML(typ="safe").load(project.folder / "dvc.lock")
    assert hash_path(project.folder / "out/twice") == lock["stages"]["double"]["outs"][0]["md5"]


def test_only_libraries_that_are_loaded_are_named() -> None:
    code = "import sys, {}; from src.certificate.environment import describe_environment as d; print(d()['libraries'])"
    named = [
        subprocess.run([sys.executable, "-c", code.format(module)], cwd=ROOT, capture_output=True, text=True).stdout
        for module in ("json", "polars")
    ]
    assert named[0] == "{}\n"
    assert "polars" in named[1]


@pytest.fixture
def nothing_doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgets the libraries that make a stage doubtful, which other tests may have loaded into this process."""
    for name in (*OWN_KERNELS, SERVICE):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("nothing_doubtful")
def test_a_service_makes_a_stage_doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "because" not in describe_environment()
    monkeypatch.setitem(sys.modules, SERVICE, sys)
    described = describe_environment()
    assert (described["deterministic"], described["because"]) == (False, "a service answered")


@pytest.mark.usefixtures("nothing_doubtful")
def test_a_gpu_that_was_used_is_described(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    driver = tmp_path / "version"
    driver.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu Jan 1 2026\nGCC version: 12\n")
    monkeypatch.setattr("src.certificate.environment.DRIVER", driver)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: False)
    described = describe_environment()
    assert (described["gpu"], described["driver"]) == ("Tesla T4", "570.86.15")
    assert described["because"] == "some kernels of a GPU add in no fixed order"
    driver.unlink()
    assert driver_version() == "unknown"


def test_a_record_is_of_the_results_that_it_was_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out.txt").write_text("a")
    record_environment("train", ["out.txt"])
    outputs = {"out.txt": hash_path(tmp_path / "out.txt")}
    assert recorded_environment("train", outputs) == json.loads(json.dumps(describe_environment()))
    assert recorded_environment("train", {"out.txt": "another"}) is None
    assert recorded_environment("evaluate", outputs) is None


@pytest.mark.parametrize("break_it", [lambda folder: None, lambda folder: RECORDS.touch()], ids=["missing", "full"])
def test_a_record_that_cannot_be_kept_fails_no_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], break_it: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    if RECORDS.name in os.listdir(tmp_path):
        RECORDS.unlink()
    break_it(tmp_path)
    record_environment("train", ["missing.txt"])
    assert capfd.readouterr().err.startswith("train: where it was computed is not recorded (")


@pytest.mark.usefixtures("nothing_doubtful")
@pytest.mark.parametrize("library", ["bitsandbytes", "unsloth", "xformers"])
def test_kernels_that_are_not_asked_for_an_order_are_doubted(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    import torch

    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    assert list(doubts(on_gpu=True)) == []
    monkeypatch.setitem(sys.modules, library, torch)  # as if it were loaded
    assert list(doubts(on_gpu=True)) == [
        f"kernels of a GPU that are not PyTorch's ({library}) may add in no fixed order"
    ]
    assert list(doubts(on_gpu=False)) == []
