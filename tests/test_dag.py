"""The whole DAG, small, in a temporary copy of the project: it runs, it is up to date, and it reruns what it must."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@localhost",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@localhost",
}
SMALL: dict[str, object] = {
    "base.pretrain_steps": 12,
    "sample.records": 300,
    "train.max_steps": 3,
    "train.eval_records": 4,
    "generate.records": 6,
    "generate.max_new_tokens": 12,
    "export.check_prompts": 2,
    "export.check_tokens": 6,
}

EMBEDDED: dict[str, object] = {  # in place of what a recipe fetches
    **{f"base.{key}": value for key, value in YAML(typ="safe").load(ROOT / "params.yaml")["base"].items()},
    "data.raw": "data/sample/trn.json.gz",
    "sample.parts": 1,
    "sample.pool": 0,
    "audit.max_truncated_share": 1.0,
}


def call(folder: Path, *words: str) -> str:
    """A command's output in `folder`; it has to succeed."""
    done = subprocess.run(words, cwd=folder, env=ENVIRONMENT, text=True, capture_output=True)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def set_parameters(folder: Path, values: dict[str, object]) -> None:
    """Sets parameters in a copy's params.yaml, as `dvc exp run -S` would."""
    import ruamel.yaml

    yaml, path = ruamel.yaml.YAML(), folder / "params.yaml"
    document = yaml.load(path)
    for name, value in values.items():
        section, key = name.split(".")
        assert key in document[section]
        document[section][key] = value
    yaml.dump(document, path)


def parameters(path: Path) -> dict[str, object]:
    """The parameters in a YAML file of sections, by section and key."""
    sections = YAML(typ="safe").load(path)
    return {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}


def parameters_read(folder: Path) -> dict[str, list[object]]:
    """The distinct values that each parameter had when the stages before the export ran, as DVC has locked them."""
    stages = YAML(typ="safe").load(folder / "dvc.lock")["stages"]
    read: dict[str, list[object]] = {}
    for stage in stages.keys() - {"export"}:
        for name, value in stages[stage].get("params", {}).get("params.yaml", {}).items():
            read.setdefault(name, [])
            read[name] += [value] * (value not in read[name])
    return read


def stages_run(output: str) -> list[str]:
    """The stages that `dvc repro` ran rather than skipped."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy of what git would commit, its parameters made small, reproduced once; and what that printed."""
    folder = tmp_path_factory.mktemp("project")
    listed = call(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    (folder / "dvc.lock").unlink(missing_ok=True)
    call(folder, "git", "init", "-q")
    set_parameters(folder, SMALL)
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-qm", "small")
    return folder, call(folder, "dvc", "repro")


def test_the_whole_dag_runs_and_is_up_to_date(project: tuple[Path, str]) -> None:
    folder, output = project
    assert len(stages_run(output)) == 11
    assert "up to date" in call(folder, "dvc", "status")
    train = json.loads((folder / "metrics/train.json").read_text())
    assert train["steps"] == SMALL["train.max_steps"]
    assert train["b_matrices_moved"] == train["b_matrices"] > 0
    assert json.loads((folder / "metrics/sample.json").read_text())["shared_titles"] == 0
    assert json.loads((folder / "metrics/export.json").read_text())["prompts"] == SMALL["export.check_prompts"]
    exported = {path.name for path in (folder / "models/export").iterdir()}
    assert exported == {"adapter", "merged", "shelftalk-f16.gguf", "shelftalk-q8_0.gguf", "Modelfile", "README.md"}


def test_output_is_quiet(project: tuple[Path, str]) -> None:
    _, output = project
    assert "Traceback" not in output
    for noise in ("Warning", "WARNING", "kernels-community", "Token indices", "[transformers]"):
        assert noise not in output, output


def test_plots_and_metrics_are_shown(project: tuple[Path, str]) -> None:
    folder, _ = project
    call(folder, "dvc", "plots", "show")
    page = (folder / "dvc_plots/index.html").read_text()
    assert "Loss on the answers" in page and "nearest" in page
    assert "rougeL" in call(folder, "dvc", "metrics", "show", "--json")


def test_a_new_learning_rate_reruns_training_and_what_follows_it(project: tuple[Path, str]) -> None:
    folder, _ = project
    set_parameters(folder, {"train.lr": 3e-5})
    assert stages_run(call(folder, "dvc", "repro")) == ["train", "generate@tuned", "evaluate", "export"]


def test_a_new_template_reruns_format_and_what_follows_it(project: tuple[Path, str]) -> None:
    folder, _ = project
    set_parameters(folder, {"format.template": "alpaca"})
    ran = stages_run(call(folder, "dvc", "repro"))
    assert ran[0] == "format"
    assert set(ran) == {"format", "audit", "train", "generate@base", "generate@tuned", "evaluate", "export"}


@pytest.mark.parametrize("recipe", sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml")))
def test_every_recipe_runs(project: tuple[Path, str], recipe: str) -> None:
    """Its own settings, but the embedded model, sample and sizes: what the recipe sets is what runs.

    To the evaluation; ours to the export, as no other test exports its template.
    """
    folder, _ = project
    shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
    call(folder, sys.executable, "-m", "src.params", "recipe", recipe)
    toy = EMBEDDED | SMALL | {"train.max_steps": 2, "sample.records": 200}
    set_parameters(folder, toy)
    last = "export" if recipe == "best" else "evaluate"
    ran = stages_run(call(folder, "dvc", "repro", last))
    assert "base" not in ran and ran[-1] == last
    train = json.loads((folder / "metrics/train.json").read_text())
    assert train["steps"] == train["predicted_steps"] == 2 * train["rounds"]
    assert train["b_matrices_moved"] == train["b_matrices"] > 0
    assert json.loads((folder / "metrics/evaluate.json").read_text())["records"] == SMALL["generate.records"]
    wanted = {name: value for name, value in parameters(ROOT / f"recipes/{recipe}.yaml").items() if name not in toy}
    read = parameters_read(folder)
    assert {name: read[name] for name in wanted} == {name: [value] for name, value in wanted.items()}
    adapter = json.loads((folder / "models/adapter/adapter_config.json").read_text())
    for key, name in {"r": "lora_r", "lora_alpha": "lora_alpha", "lora_dropout": "lora_dropout"}.items():
        assert adapter[key] == wanted[f"train.{name}"]


def test_a_failed_stage_leaves_the_last_good_result(project: tuple[Path, str]) -> None:
    folder, _ = project
    before = (folder / "data/records.parquet").read_bytes()
    (folder / "broken.json.gz").write_bytes(b"\x1f\x8b no gzip")
    set_parameters(folder, {"data.raw": "broken.json.gz"})
    done = subprocess.run(["dvc", "repro"], cwd=folder, env=ENVIRONMENT, text=True, capture_output=True)
    assert done.returncode != 0
    assert "data.raw: broken.json.gz" in done.stdout + done.stderr
    assert (folder / "data/records.parquet").read_bytes() == before
