"""What reruns after a change, on the real DAG: the table of docs/reproducibility.md, row by row.

Each row is an edit in a copy of the reproduced project, and the stages that `dvc status` lists then: they run again.
What follows those runs only where their results differ.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scratch import ROOT, call, copy_project, set_parameters

DOCUMENT = ROOT / "docs/reproducibility.md"

REFUSALS = {path.relative_to(ROOT) for path in ROOT.glob("src/*/refusals.py")}

Edit = Callable[[Path], None]  # changes the project in a folder


def append_comment(*files: str) -> Edit:
    """Adds a comment to source files: DVC cannot tell it from a change of what they compute."""

    def edit(folder: Path) -> None:
        for file in files:
            with open(folder / file, "a", encoding="utf-8") as source:
                source.write("# a comment\n")

    return edit


def replace_text(file: str, old: str, new: str) -> Edit:
    """Replaces a text that a file holds at least once."""

    def edit(folder: Path) -> None:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new), encoding="utf-8")

    return edit


def add_parameter(folder: Path) -> None:
    """A new key of export.*, in the schema, with a value, and declared by the stage that reads it."""
    replace_text("src/params.py", "    check_prompts: Count\n", "    check_prompts: Count\n    context: Count\n")(
        folder
    )
    replace_text("params.yaml", "\nexport:\n", "\nexport:\n  context: 1\n")(folder)
    declared = "      - export.check_prompts\n"
    replace_text("dvc.yaml", declared, f"{declared}      - export.context\n")(folder)


def set_value(name: str, value: object) -> Edit:
    return lambda folder: set_parameters(folder, {name: value})


MESSAGES = (
    "src/params.py",
    "src/errors.py",
    "src/progress.py",
    "src/stages/runner.py",
    "src/training/refusals.py",
    "src/models/refusals.py",
)
GENERATE = {"generate@base", "generate@tuned", "generate_few_shot", "generate_exports"}
ENDPOINT = {"name": "other", "address": "http://localhost:8080/v1", "model": "m", "key_variable": ""}
TEMPLATE = {"format", "audit", "train", "export", "model_card"} | GENERATE

# By the table's first column: the edit, and the stages in its second column.
ROWS: dict[str, tuple[Edit, set[str]]] = {
    "a new parameter of `export`": (add_parameter, {"export"}),
    "a reworded error": (append_comment(*MESSAGES), set()),
    "a new score": (append_comment("src/scoring/scores.py"), {"evaluate", "model_card"}),
    "another memory formula": (append_comment("src/training/memory.py"), {"audit"}),
    "another model card": (append_comment("src/export/model_card.py"), {"model_card"}),
    "a comment in a cleaning rule": (append_comment("src/records/rules.py"), {"clean", "score_cleaning"}),
    "another ground truth of the sample": (append_comment("data/sample/ground_truth.json.gz"), {"score_cleaning"}),
    "other known facts of the sample": (append_comment("data/sample/facts.json.gz"), {"evaluate"}),
    "another encoder for BERTScore": (set_value("evaluate.bertscore", "models/embedded"), {"evaluate"}),
    "another template": (set_value("format.template", "alpaca"), TEMPLATE),
    "longer answers": (
        set_value("generate.max_new_tokens", 13),
        GENERATE | {"generate_endpoints", "export", "model_card"},
    ),
    "another number of examples": (set_value("generate.few_shot", 3), {"generate_few_shot"}),
    "another endpoint": (set_value("evaluate.endpoints", [ENDPOINT]), {"generate_endpoints", "judge"}),
    "another judge": (set_value("evaluate.judge", "other"), {"judge"}),
    "code for a service": (append_comment("src/hosted/training.py", "src/hosted/service.py"), set()),
    "another learning rate": (set_value("train.lr", 3e-5), {"train"}),
}


def changed_stages(folder: Path) -> set[str]:
    """The stages that `dvc status` lists."""
    return set(json.loads(call(folder, "dvc", "status", "--json")))


@pytest.fixture(scope="module")
def edited(reproduced: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the reproduced project, which the tests edit one after another."""
    return copy_project(reproduced[0], tmp_path_factory.mktemp("reruns") / "project")


@pytest.fixture
def scratch(edited: Path) -> Iterator[Path]:
    """The copy; what a test edits is undone by git behind it."""
    yield edited
    call(edited, "git", "checkout", "--quiet", "--", "src", "data/sample", "params.yaml", "dvc.yaml")


@pytest.mark.parametrize("row", ROWS)
def test_a_change_reruns_the_stages_that_it_concerns(scratch: Path, row: str) -> None:
    edit, stages = ROWS[row]
    edit(scratch)
    assert changed_stages(scratch) == stages


def test_the_table_in_the_docs_is_this_one() -> None:
    lines = re.findall(r"(?m)^\| (.+?) \| (.+?) \| .* \|$", DOCUMENT.read_text(encoding="utf-8"))
    table = {change: set(re.findall(r"`([\w@]+)`", stages)) for change, stages in lines}
    expected = {row: {stage.partition("@")[0] for stage in stages} for row, (_, stages) in ROWS.items()}
    assert {row: table.get(row) for row in ROWS} == expected
