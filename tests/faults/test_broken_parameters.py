"""Faults of params.yaml, dvc.yaml and recipes: each is a sentence, whichever command meets it first."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from src import params
from tests.faults.table import Fault, contents, each_fault, refusal, set_param

PARAMS, RECIPE = Path("params.yaml"), Path("recipes/other.yaml")
DEEP = "[" * 600


def write(path: Path, content: bytes | str) -> Callable[[], object]:
    """Writes a file."""
    return lambda: path.write_bytes(content if isinstance(content, bytes) else content.encode())


def make_folder(path: Path) -> Callable[[], object]:
    """Puts a folder in place of a file."""

    def breaks() -> None:
        path.unlink(missing_ok=True)
        path.mkdir()

    return breaks


def link_to_itself() -> None:
    """Makes params.yaml a link that leads nowhere."""
    PARAMS.unlink()
    PARAMS.symlink_to(PARAMS.name)


def value(key: str, given: str, sentence: str) -> Fault:
    """A parameter with a value that makes no sense."""
    return Fault(f"{key}-{given[:20]}-{len(given)}", lambda: set_param(key, given), f"{key} is {sentence}")


def columns(given: str, sentence: str) -> Fault:
    """Columns of the raw file that make no sense."""
    return Fault(given, lambda: set_param("data.columns", given), sentence)


BEYOND_REASON = [
    value("sample.seed", "4294967296", "4294967296, and must be less than 4294967296"),
    value("train.seed", "18446744073709551616", "18446744073709551616, and must be less than 4294967296"),
    value("train.seed", "-1", "-1, and must be greater than or equal to 0"),
    value("train.max_length", "1e30", "1e+30, and must be a valid integer"),
    value("train.max_length", "1000000000", "1000000000, and must be less than or equal to 1048576"),
    value("train.batch_size", "1e400", "inf, and must be a valid integer"),
    value("train.batch_size", "100000", "100000, and must be less than or equal to 10000"),
    value("train.accumulation", "100000", "100000, and must be less than or equal to 10000"),
    value("train.lr", "1e300", "1e+300, and must be less than or equal to 1"),
    value("train.lr", "1e-400", "0.0, and must be greater than 0"),
    value("train.lr", "3", "3, and must be less than or equal to 1"),
    value("train.lora_r", "1000000000", "1000000000, and must be less than or equal to 1024"),
    value("train.lora_alpha", "1000000000", "1000000000, and must be less than or equal to 4096"),
    value("train.epochs", "1e9", "1000000000.0, and must be less than or equal to 1000"),
    value("train.rounds", "1000000", "1000000, and must be less than or equal to 1000"),
    value("train.max_steps", "9999999999", "9999999999, and must be less than or equal to 1000000000"),
    value("train.warmup_steps", "9999999999", "9999999999, and must be less than or equal to 1000000000"),
    value("train.weight_decay", "5", "5, and must be less than or equal to 1"),
    value("train.max_grad_norm", "1e30", "1e+30, and must be less than or equal to 1000"),
    value("train.lora_dropout", "1", "1, and must be less than 1"),
    value("generate.max_new_tokens", "9999999999", "9999999999, and must be less than or equal to 1048576"),
    value("generate.batch_size", "99999", "99999, and must be less than or equal to 10000"),
    value("generate.few_shot", "0", "0, and must be greater than or equal to 1"),
    value("evaluate.judge_records", "-1", "-1, and must be greater than or equal to 0"),
    value("evaluate.endpoints", "other", "'other', and must be a valid list"),
    value("evaluate.judge", "~", "None, and must be a valid string"),
    value("export.check_tokens", "9999999999", "9999999999, and must be less than or equal to 1048576"),
    value("export.formats", "f16", "'f16', and must be a list of merged, merged_16bit, f16, q8_0, q4_k_m and lora"),
    value(
        "export.formats",
        "[merged, lora]",
        "['merged', 'lora'], and the Modelfile and generate_exports need a GGUF of the whole model",
    ),
    value("export.formats", "[f16, f16]", "['f16', 'f16']: name each form once."),
    value("export.check_prompts", "0", "0, and must be greater than or equal to 1"),
    value("data.lines", "99999999999999999999", "99999999999999999999, and must be less than or equal to 1000000000"),
    value("data.lines", "9" * 4000, "99999999999"),
    value("sample.quantiles", "0x7fff", "32767, and must be less than or equal to 20"),
    value("sample.topics", "1_000", "1000, and must be less than or equal to 50"),
    value("clean.near_threshold", ".nan", "nan, and must be"),
]
ODD_VALUES = [
    Fault(
        "an unknown form",
        lambda: set_param("export.formats", "[f16, q3_k_m]"),
        "export.formats.1 is 'q3_k_m', and must be a list of merged, merged_16bit, f16, q8_0, q4_k_m and lora",
    ),
    value("train.lr", "2024-01-01", "datetime.date(2024, 1, 1), and must be a valid number"),
    value("train.lr", "~", "None, and must be a valid number"),
    value("train.lr", "!!python/object:os.system x", "TaggedScalar(value='x'"),
    value("train.lr", "{a: 1}", "{'a': 1}, and must be a valid number"),
    value("train.lr", "!!binary aGVsbG8=", "b'hello', and must be a valid number"),
    value("data.raw", "[[[[[[a]]]]]]", "[[[[[['a']]]]]], and must be a valid string"),
    value("data.columns", "title", "'title', and must be the file's columns of uid, title and content"),
    value("train.launcher", '"touch x; python -m"', "'touch x; python -m', and must be python -m, or accelerate"),
    value("train.launcher", '"python -m\\n touch x; python -m"', "'python -m\\n touch x"),
    value("base.folder", '""', "'', and must be"),
    value("evaluate.bertscore", '""', "'', and must be"),
]
OTHER_COLUMNS = [
    columns("{uid: a, title: b, content: b}", "name a column of its own for each of uid, title and content"),
    columns("{uid: a, title: b}", "data.columns.content is missing"),
    columns("{uid: a, title: b, contents: c}", "data.columns.contents is not a known parameter: write content"),
]
ODD_FILES = [
    Fault("folder", make_folder(PARAMS), "params.yaml cannot be read (Is a directory)"),
    Fault("missing", PARAMS.unlink, "params.yaml is missing: run from the project's root"),
    Fault("link-to-itself", link_to_itself, "params.yaml cannot be read (Too many levels of symbolic links)"),
    Fault("empty", write(PARAMS, ""), "params.yaml: has no sections"),
    Fault("zeros", write(PARAMS, bytes(100)), "params.yaml: is not valid YAML"),
    Fault("utf-16", write(PARAMS, "data:\n".encode("utf-16")), "params.yaml: is not valid YAML ('utf-8' codec"),
    Fault("page", write(PARAMS, "<!doctype html>\n<title>404: not found</title>"), "params.yaml"),
    Fault("conflict", write(PARAMS, "<<<<<<< HEAD\ndata:\n=======\n"), "params.yaml"),
    Fault("tabs", write(PARAMS, "data:\n\traw: a\n"), "params.yaml:2: is not valid YAML"),
    Fault("deep", write(PARAMS, f"data: {DEEP}"), "params.yaml: is nested too deep"),
    Fault("deep-maps", write(PARAMS, "data: " + "{a: " * 600), "params.yaml: is nested too deep"),
    Fault("circle", write(PARAMS, "data: &a\n  raw: *a\n"), "data.raw is None, and must be"),
    Fault("unknown-anchor", write(PARAMS, "data: *b\n"), "params.yaml:1: is not valid YAML"),
    Fault("two-documents", write(PARAMS, "data: 1\n---\ndata: 2\n"), "params.yaml:2: is not valid YAML"),
    Fault("long-number", write(PARAMS, "data: " + "9" * 10_000), "params.yaml: is not valid YAML (Exceeds the limit"),
    Fault("bad-date", write(PARAMS, "data: 2024-99-99\n"), "params.yaml"),
    Fault("odd-key", write(PARAMS, "? {a: [1]}\n: 2\n"), "params.yaml"),
    Fault("null-key", write(PARAMS, "~: 2\n"), "None is not a known parameter"),
    Fault("pipeline-empty", write(Path("dvc.yaml"), "a: 1\n"), "dvc.yaml has no stage clean: restore it"),
    Fault("pipeline-list", write(Path("dvc.yaml"), "[1]\n"), "dvc.yaml: has no sections"),
    Fault("pipeline-number", write(Path("dvc.yaml"), "stages: 5\n"), "dvc.yaml has no stage clean: restore it"),
    Fault("pipeline-conflict", write(Path("dvc.yaml"), "<<<<<<< HEAD\nstages:\n=======\n"), "dvc.yaml"),
]


@each_fault([*BEYOND_REASON, *ODD_VALUES, *OTHER_COLUMNS, *ODD_FILES])
def test_a_stage_does_not_start_on_parameters_that_make_no_sense(
    fault: Fault, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("data").mkdir()
    Path("data/clean.parquet").write_text("the last good result")
    fault.breaks()
    said = refusal("clean", monkeypatch)
    assert fault.sentence in said
    assert all(len(line) < 500 for line in said.splitlines())
    assert contents("data") == {"data/clean.parquet": b"the last good result"}


RECIPES = [
    Fault("folder", make_folder(RECIPE), "recipes/other.yaml cannot be read (Is a directory)"),
    Fault("empty", write(RECIPE, ""), "recipes/other.yaml: has no sections"),
    Fault("comment-alone", write(RECIPE, "# one\n"), "recipes/other.yaml: has no sections"),
    Fault("latin-1", write(RECIPE, b"# caf\xe9\ntrain:\n  lr: 1\n"), "recipes/other.yaml: is not valid YAML"),
    Fault("list", write(RECIPE, "- train\n"), "recipes/other.yaml: has no sections"),
    Fault("deep", write(RECIPE, f"train: {DEEP}"), "recipes/other.yaml: is nested too deep"),
    Fault("number-as-section", write(RECIPE, "5: 6\n"), "5 is not a known parameter"),
    Fault("beyond-reason", write(RECIPE, "train:\n  lr: 5\n"), "train.lr is 5, and must be less than or equal to 1"),
    Fault("defaults-missing", params.DEFAULTS.unlink, "recipes/defaults.yaml is missing"),
    Fault("defaults-folder", make_folder(params.DEFAULTS), "recipes/defaults.yaml cannot be read"),
    Fault("defaults-broken", write(params.DEFAULTS, "data: [\n"), "recipes/defaults.yaml:"),
]


def run_params(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Runs `python -m src.params` in this process."""
    monkeypatch.setattr(sys, "argv", ["params", *arguments])
    params.main()


@each_fault(RECIPES)
@pytest.mark.parametrize("arguments", [("recipe", "other"), ("check",)], ids=["recipe", "check"])
def test_a_broken_recipe_is_one_sentence(
    fault: Fault, arguments: tuple[str, ...], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RECIPE.write_text("# one\ntrain:\n  lr: 0.001\n")
    before = PARAMS.read_bytes()
    fault.breaks()
    with pytest.raises(SystemExit) as stopped:
        run_params(monkeypatch, *arguments)
    assert fault.sentence in str(stopped.value.code)
    assert PARAMS.read_bytes() == before


@each_fault(RECIPES)
def test_broken_recipes_are_listed_with_their_fault(
    fault: Fault, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    RECIPE.write_text("# one\ntrain:\n  lr: 0.001\n")
    fault.breaks()
    run_params(monkeypatch, "recipe")
    assert "other" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["a" * 300, "../params", "a\0b", "", ".", "other.yaml"])
def test_a_name_of_no_recipe_is_one_sentence(name: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"^recipe .* does not exist: choose one of defaults\."):
        run_params(monkeypatch, "recipe", *([name] if name else ["''"]))


def test_recipes_that_are_no_folder_are_one_sentence(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree("recipes")
    Path("recipes").write_text("")
    with pytest.raises(SystemExit, match="recipe 'best' does not exist"):
        run_params(monkeypatch, "recipe", "best")
