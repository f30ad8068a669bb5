"""A stage as a process: one sentence and status 1 for what a user can fix, durations, quick help."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAGE = '''"""demo: nothing -> nothing"""
from pathlib import Path
from src.errors import UserError
from src.stages.runner import Outcome, run_stage

def main(params, *variant):
    {body}

run_stage(main{variants})
'''


def demo(folder: Path, body: str, *arguments: str, variants: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a stage called demo, which declares train.lr, in `folder`."""
    (folder / "dvc.yaml").write_text("stages:\n  demo:\n    cmd: python demo.py\n    params: [train.lr]\n")
    (folder / "demo.py").write_text(STAGE.format(body=body, variants=variants))
    return subprocess.run(
        [sys.executable, "demo.py", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def runtime(folder: Path) -> dict[str, dict[str, object]]:
    return json.loads((folder / "runtime.json").read_text())


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise UserError('x is 1: set it to 2.')", "demo: x is 1: set it to 2.\n"),
        ("open('no/such')", "demo: no/such: No such file or directory.\n"),
        ("open('/dev/full', 'w').write('x' * 100_000)", "No space left on device"),
        ("raise OSError('no/such is no folder of a model')", "no/such is no folder of a model"),
        ("__import__('polars').read_parquet('no/such.parquet')", "no/such.parquet"),
        ("raise KeyboardInterrupt", "demo: interrupted"),
        ("raise MemoryError", "demo: the memory is full: lower train.batch_size"),
        ("bytes(2**60)", "demo: the memory is full: lower train.batch_size"),
    ],
    ids=["user", "missing", "full", "text", "polars", "interrupted", "memory", "machine"],
)
def test_what_a_user_can_put_right_is_one_sentence(project: Path, body: str, sentence: str) -> None:
    stopped = demo(project, body)
    assert stopped.returncode == 1
    assert stopped.stderr.startswith("demo: ")
    assert sentence in stopped.stderr
    assert "None" not in stopped.stderr
    assert len(stopped.stderr.splitlines()) == 1
    assert not (project / "runtime.json").exists()


@pytest.mark.parametrize(("locked", "told"), [("other", False), ("demo", True)])
def test_under_dvc_it_tells_how_earlier_results_come_back(
    project: Path, monkeypatch: pytest.MonkeyPatch, locked: str, told: bool
) -> None:
    monkeypatch.setenv("DVC_STAGE", "demo")
    Path("dvc.lock").write_text(f"schema: '2.0'\nstages:\n  {locked}:\n    cmd: python demo.py\n")
    refused, *more = demo(project, "raise UserError('x is 1: set it to 2.')").stderr.splitlines()
    assert refused == "demo: x is 1: set it to 2."
    assert ["`make restore`" in line for line in more] == [True] * told


def test_a_fault_in_the_parameters_stops_a_stage_before_it_starts(project: Path) -> None:
    text = (project / "params.yaml").read_text(encoding="utf-8")
    (project / "params.yaml").write_text(text.replace("  lora_r:", "  lora_rank:"), encoding="utf-8")
    stopped = demo(project, "print('started')")
    assert (stopped.returncode, stopped.stdout) == (1, "")
    assert "train.lora_rank is not a known parameter" in stopped.stderr
    assert "Traceback" not in stopped.stderr


def test_durations_are_merged_in_the_order_of_stages(project: Path) -> None:
    (project / "runtime.json").write_text('{"train": {"seconds": 5.0}, "clean": {"seconds": 1.0}}')
    done = demo(project, "return Outcome('3 records', {'lr': params.train.lr > 0})")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(runtime(project)) == ["clean", "demo", "train"]
    assert runtime(project)["train"] == {"seconds": 5.0}
    measured = runtime(project)["demo"]
    assert list(measured) == ["seconds", "peak_memory_mb", "lr"]
    assert measured["lr"] is True


BROKEN_DURATIONS = {
    "conflict": '<<<<<<< HEAD\n{"train": {}}\n=======\n{}\n>>>>>>> other\n',
    "empty": "",
    "list": "[1]",
    "number": "5",
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("content", BROKEN_DURATIONS.values(), ids=BROKEN_DURATIONS)
def test_durations_that_cannot_be_read_begin_anew(project: Path, content: str) -> None:
    (project / "runtime.json").write_text(content)
    done = demo(project, "return Outcome('done')")
    assert (done.returncode, done.stderr) == (0, "")
    assert list(runtime(project)) == ["demo"]


def test_durations_that_cannot_be_written_fail_no_stage(project: Path) -> None:
    (project / "runtime.json").mkdir()
    (project / "runtime.json/full").touch()
    done = demo(project, "return Outcome('done')")
    assert done.returncode == 0
    assert done.stderr.startswith("demo: its duration is not recorded in runtime.json (")
    assert len(done.stderr.splitlines()) == 1


def test_an_interruption_while_libraries_load_is_one_sentence(project: Path) -> None:
    (project / "polars").mkdir()
    (project / "polars/__init__.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    stopped = subprocess.run(
        [sys.executable, "-m", "src.stages.clean"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": f"{project}:{ROOT}"},
        capture_output=True,
        text=True,
    )
    assert stopped.returncode != 0
    assert stopped.stderr == "interrupted: `dvc repro` goes on from here.\n"


def test_a_variant_is_chosen_on_the_command_line(project: Path) -> None:
    variants = ", variants=('base', 'tuned')"
    told = demo(project, "return Outcome(f'{variant}')", "tuned", variants=variants).stdout
    assert re.fullmatch(r"demo@tuned: \('tuned',\) \(\d+(\.\d)? s\)\n", told)
    assert list(runtime(project)) == ["demo@tuned"]
    refused = demo(project, "print(*variant)", "other", variants=variants)
    assert refused.returncode == 2
    assert "choose from" in refused.stderr


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({}, "expandable_segments:True"),
        ({"PYTORCH_ALLOC_CONF": "max_split_size_mb:64"}, "max_split_size_mb:64"),
        ({"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:64"}, "None"),
    ],
    ids=["default", "given", "older name"],
)
def test_memory_of_a_gpu_grows_in_segments_unless_otherwise_told(
    project: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], taken: str
) -> None:
    for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    done = demo(project, "import os; return Outcome(str(os.environ.get('PYTORCH_ALLOC_CONF')))")
    assert done.stdout.startswith(f"demo: {taken} (")


def test_a_stage_ends_with_one_line_of_what_came_out(project: Path) -> None:
    done = demo(project, "return Outcome('3 of 4 records kept')")
    assert re.fullmatch(r"demo: 3 of 4 records kept \(\d+(\.\d)? s\)\n", done.stdout)


def test_bars_of_libraries_are_not_drawn_in_logs(project: Path) -> None:
    done = demo(project, "from tqdm import tqdm; return Outcome(f'{len(list(tqdm(range(3))))} records')")
    assert (done.returncode, done.stderr) == (0, "")


OTHERS = {"__init__", "runner"}
STAGES = sorted({path.stem for path in (ROOT / "src/stages").glob("*.py")} - OTHERS)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_tells_what_came_out_of_it(stage: str) -> None:
    tree = ast.parse((ROOT / f"src/stages/{stage}.py").read_text(encoding="utf-8"))
    [main] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    assert main.returns and ast.unparse(main.returns) == "Outcome"


def test_a_stage_sees_no_parameter_that_it_does_not_declare(project: Path) -> None:
    undeclared = demo(project, "print(params.train.seed)")
    assert undeclared.returncode == 1
    assert "AttributeError" in undeclared.stderr


@pytest.mark.parametrize("stage", ["train", "generate"])
def test_help_loads_no_model_library(stage: str) -> None:
    helped = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", f"src.stages.{stage}", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert helped.returncode == 0
    docstring = ast.get_docstring(ast.parse((ROOT / f"src/stages/{stage}.py").read_text())) or ""
    assert docstring and docstring in helped.stdout
    imported = {line.rpartition("|")[2].strip() for line in helped.stderr.splitlines()}
    assert "src.stages.runner" in imported
    assert not imported & {"torch", "transformers", "peft", "trl", "datasets"}


def test_where_a_stage_was_computed_is_kept_with_what_it_wrote(project: Path) -> None:
    body = "Path('out.tuned.txt').write_text('a'); return Outcome('done')"
    demo(project, body, "tuned", variants=", variants=['base', 'tuned']")
    record = json.loads((project / ".certificate/demo@tuned.json").read_text())
    assert (record["outputs"], record["environment"]["deterministic"]) == ({}, True)
    outs = "    outs: ['out.${key}.txt']\n    metrics: [{out.tuned.txt: {cache: false}}]\n"
    with (project / "dvc.yaml").open("a") as file:
        file.write(outs)
    again = [sys.executable, "demo.py", "tuned"]
    subprocess.run(again, cwd=project, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
    record = json.loads((project / ".certificate/demo@tuned.json").read_text())
    assert record["outputs"] == {"out.tuned.txt": "0cc175b9c0f1b6a831c399e269772661"}
