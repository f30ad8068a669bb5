"""params.yaml: every fault at once, with its line and its fix; recipes; what a stage may see; the command line."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from src import params
from src.errors import UserError
from src.models.processes import launcher_world_size
from src.scoring.systems import SYSTEMS

ROOT = Path(__file__).parents[1]
PARAMS = Path("params.yaml")
LAUNCHER = "accelerate launch --num_processes 2 -m"


def replace(key: str, line: str) -> int:
    """Puts `line` in place of that of section.key in ./params.yaml; returns its number, counted from 1."""
    section, own = key.split(".")
    lines = PARAMS.read_text(encoding="utf-8").splitlines()
    start = next(i for i, text in enumerate(lines) if text.startswith(f"{section}:"))
    number = next(i for i in range(start, len(lines)) if lines[i].startswith(f"  {own}:"))
    lines[number] = line
    PARAMS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return number + 1


def section_line(section: str) -> int:
    """The number of the line a section of ./params.yaml starts on, counted from 1."""
    return PARAMS.read_text(encoding="utf-8").splitlines().index(f"{section}:") + 1


def recipe(text: str, name: str = "other") -> None:
    """Writes recipes/NAME.yaml."""
    Path(f"recipes/{name}.yaml").write_text(text, encoding="utf-8")


def found() -> list[str]:
    """The sentences that loading ./params.yaml is refused with."""
    with pytest.raises(UserError) as refused:
        params.load_params()
    return str(refused.value).splitlines()


def command(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`python -m src.params` in a folder, the current one if none is given."""
    return subprocess.run(
        [sys.executable, "-m", "src.params", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_the_file_in_place_is_valid(project: Path) -> None:
    assert isinstance(params.load_params(), params.Params)


def test_all_faults_are_named_at_once_each_with_line_and_fix(project: Path) -> None:
    lines = {
        "misspelt": replace("train.lora_alpha", "  lora_alhpa: 32"),
        "text": replace("train.lr", '  lr: "1e-5"'),
        "type": replace("sample.records", "  records: many"),
        "range": replace("sample.test_share", "  test_share: 0.6"),
        "choice": replace("train.scheduler", "  scheduler: cosinus"),
        "question": replace("format.question", '  question: "What is it?"'),
    }
    sentences = found()
    wanted = [
        (lines["misspelt"], "train.lora_alhpa is not a known parameter: write lora_alpha."),
        (section_line("train"), "train.lora_alpha is missing: add it"),
        (lines["text"], "train.lr is the text '1e-5': write it as a number without quotes, such as 1.0e-5."),
        (lines["type"], "sample.records is 'many', and must be a valid integer: change it."),
        (lines["range"], "sample.test_share is 0.6, and must be less than or equal to 0.5: change it."),
        (lines["choice"], "train.scheduler is 'cosinus', and must be 'cosine', 'linear' or 'constant_with_warmup'"),
        (lines["question"], "format.question is 'What is it?' and has to hold {title} once"),
    ]
    for line, sentence in wanted:
        assert any(one.startswith(f"params.yaml:{line}: {sentence}") for one in sentences), (line, sentence, sentences)
    assert len(sentences) == len(wanted)


@pytest.mark.parametrize(
    ("key", "line", "sentence"),
    [
        ("clean.ascii", "  ascii: 0", "clean.ascii is 0, and must be a valid boolean"),
        ("train.epochs", "  epochs: .nan", "train.epochs is nan, and must be"),
        ("train.epochs", "  epochs: .inf", "train.epochs is inf, and must be"),
        ("train.batch_size", "  batch_size: 2.0", "train.batch_size is 2.0, and must be a valid integer"),
        ("train.batch_size", "  batch_size:", "train.batch_size is None, and must be a valid integer"),
        ("format.instruction", '  instruction: ""', "format.instruction is '', and must be"),
        ("format.question", '  question: "{title} {title}"', "format.question is '{title} {title}' and has to hold"),
        (
            "format.instruction",
            '  instruction: \'Write """ first.\'',
            "format.instruction has three quotes in a row, which Ollama does not read from a Modelfile",
        ),
        (
            "format.instruction",
            '  instruction: "Write\\u00a0it."',
            "format.instruction has the invisible character U+00A0, which Ollama does not",
        ),
        ("data.raw", "  raw: [a, b]", "data.raw is ['a', 'b'], and must be a valid string"),
        ("clean.language", "  language: english", "clean.language is 'english', and must be any, or the two small let"),
        ("clean.language", "  language: 5", "clean.language is 5, and must be any, or the two small letters of a"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(project: Path, key: str, line: str, sentence: str) -> None:
    number = replace(key, line)
    assert [one for one in found() if one.startswith(f"params.yaml:{number}: {sentence}")]


def test_every_fault_of_the_endpoints_is_named_and_what_may_be_a_key_is_not_shown(project: Path) -> None:
    entries = [
        '{name: base, address: "https://user:sk-secret@host/v1", model: m, key_variable: sk-secret}',
        '{name: "a b", adress: "http://localhost/v1", model: 3, key_variable: sk_secret}',
        "5",
        '{name: Same, address: "http://localhost:80/v1", model: m, key_variable: KEY}',
        '{name: same, address: "https://[::1]/v1?key=sk-secret", model: m, key_variable: ""}',
    ]
    line = replace("evaluate.endpoints", "\n".join(["  endpoints:", *(f"    - {entry}" for entry in entries)]))
    judge = replace("evaluate.judge", "  judge: other")
    sentences = found()
    wanted = [
        (line + 1, "evaluate.endpoints.0.address is set to something else, and must be an address such as https://"),
        (line + 1, "evaluate.endpoints.0.key_variable is set to something else, and must be the name, in capitals,"),
        (line + 1, "evaluate.endpoints.0.name is 'base', which another system has: choose another name."),
        (line + 2, "evaluate.endpoints.1.name is 'a b', and must be a name of letters, digits, - and _"),
        (line + 2, "evaluate.endpoints.1.adress is not a known parameter: write address."),
        (line + 2, "evaluate.endpoints.1.address is missing: add it"),
        (line + 2, "evaluate.endpoints.1.model is 3, and must be a valid string"),
        (line + 2, "evaluate.endpoints.1.key_variable is set to something else, and must be the name, in capitals,"),
        (line + 3, "evaluate.endpoints.2 is 5, and must be an entry with name, address, model, key_variable"),
        (line + 5, "evaluate.endpoints.4.address is set to something else, and must be an address"),
        (line + 5, "evaluate.endpoints.4.name is 'same', which another system has: choose another name."),
        (line + 1, "evaluate.endpoints.0.address holds what looks like a key, or an address with a password"),
        (line + 5, "evaluate.endpoints.4.address holds what looks like a key, or an address with a password"),
        (judge, "evaluate.judge is 'other', and evaluate.endpoints has no such name: add that endpoint, or set"),
    ]
    for number, sentence in wanted:
        assert any(one.startswith(f"params.yaml:{number}: {sentence}") for one in sentences), (number, sentence)
    assert len(sentences) == len(wanted)
    assert "secret" not in "".join(sentences)


@pytest.mark.parametrize("address", ["https://api.openai.com/v1", "http://localhost:8080/v1", "http://[::1]:1/v1"])
def test_endpoints_and_a_judge_that_is_one_of_them_are_valid(project: Path, address: str) -> None:
    replace("evaluate.endpoints", f'  endpoints: [{{name: a-1, address: "{address}", model: m, key_variable: ""}}]')
    replace("evaluate.judge", "  judge: a-1")
    assert params.load_params().evaluate.endpoints[0].address == address


def test_no_endpoint_can_have_the_name_of_another_system() -> None:
    assert {system.name for system in SYSTEMS} <= params.RESERVED


def test_the_shares_held_out_leave_something(project: Path) -> None:
    replace("sample.validation_share", "  validation_share: 0.5")
    line = replace("sample.test_share", "  test_share: 0.4")
    assert found() == [f"params.yaml:{line}: sample.validation_share and test_share add up to 0.9: leave some."]


@pytest.mark.parametrize("revision", ["main", "v1.0", "5a8abab", "5A" * 20])
def test_a_hub_revision_that_can_change_is_refused(project: Path, revision: str) -> None:
    replace("base.source", "  source: hub")
    line = replace("base.revision", f"  revision: {revision}")
    [sentence] = found()
    assert sentence.startswith(f"params.yaml:{line}: base.revision is '{revision}', which can change under you: set")


def test_a_hub_repository_needs_its_owner(project: Path) -> None:
    replace("base.source", "  source: hub")
    line = replace("base.repository", "  repository: Llama-3.2-1B-Instruct")
    assert found() == [f"params.yaml:{line}: base.repository is 'Llama-3.2-1B-Instruct': write it as owner/name."]


def test_a_branch_does_no_harm_where_no_hub_is_asked(project: Path) -> None:
    replace("base.source", "  source: local")
    replace("base.revision", "  revision: main")
    assert params.load_params().base.revision == "main"


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("attention", "sdpa", "train.attention is sdpa with train.backend 'unsloth', which brings its own kernels"),
        ("compile", "true", "train.compile is true with train.backend 'unsloth', which compiles by itself"),
        ("launcher", LAUNCHER, f"train.launcher is {LAUNCHER} with train.backend 'unsloth', which trains in one"),
    ],
)
def test_unsloth_refuses_what_it_cannot_honour(project: Path, key: str, value: str, sentence: str) -> None:
    replace("train.backend", "  backend: unsloth")
    line = replace(f"train.{key}", f"  {key}: {value}")
    [refused] = found()
    assert refused.startswith(f"params.yaml:{line}: {sentence}")


HOSTED = {
    "endpoint": {"address": "https://host/v1", "model": "m", "key_variable": "KEY"},
    "backend": "openai",
    "launcher": "python -m",
    "seed": 1,
}


@pytest.mark.parametrize(
    ("values", "key", "sentence"),
    [
        ({"backend": "transformers"}, "endpoint", "has an address, and train.backend is 'transformers'"),
        ({"endpoint": {"address": "", "model": "m"}}, "endpoint", "lacks its address or its model"),
        ({"endpoint": {"address": "https://host/v1", "model": ""}}, "endpoint", "lacks its address or its model"),
        ({"seed": 2**31}, "seed", "takes seeds up to 2147483647: lower it"),
        ({"launcher": "accelerate launch --num_processes 2 -m"}, "launcher", "nothing is trained here: set it to"),
    ],
)
def test_a_service_and_its_backend_belong_together(values: dict[str, Any], key: str, sentence: str) -> None:
    assert list(params.hosted_conflicts(HOSTED)) == []
    [(location, told)] = params.hosted_conflicts(HOSTED | values)
    assert location == ("train", key) and sentence in told


def test_what_a_service_cannot_take_is_named_and_what_may_be_a_key_is_not_shown(project: Path) -> None:
    values = {"address": "https://user:sk-secret@host", "key_variable": "sk-secret", "suffix": "a b", "epochs": 51}
    text = PARAMS.read_text(encoding="utf-8")
    for name, value in values.items():
        text = re.sub(rf"(?m)^    {name}: \S+", f"    {name}: {value}", text, count=1)
    PARAMS.write_text(text, encoding="utf-8")
    sentences = found()
    for sentence in (
        "train.endpoint.address is set to something else, and must be an address",
        "train.endpoint.key_variable is set to something else, and must be the name, in capitals,",
        "train.hosted.suffix is 'a b', and must be letters, digits and -",
        "train.hosted.epochs is 51, and must be less than or equal to 50",
    ):
        assert [one for one in sentences if sentence in one], sentences
    assert "secret" not in "".join(sentences)


def test_a_recipe_keeps_the_comments_of_nested_parameters(project: Path) -> None:
    recipe("train:\n  backend: openai\n  endpoint:\n    address: https://host/v1\n    model: m\n")
    params.apply_recipe("other")
    text = PARAMS.read_text(encoding="utf-8")
    assert re.search(r"    address: https://host/v1 +# such as https://api", text)
    assert "key_variable: ''" in text


@pytest.mark.parametrize(
    "command",
    [
        "rm -r data; python -m",
        "accelerate launch --num_processes 2 $(date) -m",
        "python",
        "accelerate launch -m",  # as many as there are, which the audit cannot know
        "accelerate launch --num_processes 0 -m",
        "accelerate launch --num_processes two -m",
        "accelerate launch --num_processes 2 script.py -m",
        "accelerate launch --multi_gpu script.py --num_processes 2 -m",
        "accelerate launch --no_python --num_processes 2 -m",
        "accelerate launch --config_file other.yaml --num_processes 2 -m",
        "accelerate launch --num_machines 2 --machine_rank 1 --num_processes 2 -m",  # differs between machines
        "accelerate launch --num_processes 2 -m\\npython",
    ],
)
def test_a_launcher_is_a_launcher_and_names_its_processes(project: Path, command: str) -> None:
    line = replace("train.launcher", f"  launcher: {command}")
    [refused] = found()
    assert refused.startswith(
        f"params.yaml:{line}: train.launcher is {command!r}, and must be python -m, or accelerate"
    )


@pytest.mark.parametrize(
    ("command", "count"),
    [
        ("python -m", 1),
        (LAUNCHER, 2),
        ("accelerate launch --multi_gpu --num-processes=8 --main_process_port 0 -m", 8),
        ("accelerate launch --num_processes 16 --num_machines 2 -m", 16),
    ],
)
def test_the_processes_of_a_launcher_are_counted(
    project: Path, monkeypatch: pytest.MonkeyPatch, command: str, count: int
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")  # what a cluster's shell may hold
    replace("train.launcher", f"  launcher: {command}")
    assert launcher_world_size(params.load_params().train.launcher) == count


def test_a_misspelt_section_is_named_with_the_right_one(project: Path) -> None:
    line = section_line("generate")
    PARAMS.write_text(PARAMS.read_text().replace("\ngenerate:", "\ngenrate:"))
    assert f"params.yaml:{line}: genrate is not a known parameter: write generate." in found()


@pytest.mark.parametrize("section", params.Params.model_fields)
def test_a_section_that_is_a_value_is_named(project: Path, section: str) -> None:
    text = PARAMS.read_text(encoding="utf-8")
    PARAMS.write_text(re.sub(rf"^{section}:.*\n(  .*\n)+", f"{section}: 5\n", text, flags=re.M), encoding="utf-8")
    assert any(f"{section} is 5, and must be" in sentence for sentence in found())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"data: [\n", "params.yaml:2: is not valid YAML"),
        (b"data: 1\ndata: 2\n", "params.yaml:2: is not valid YAML"),
        (b"", "params.yaml: has no sections"),
        (b"- data\n", "params.yaml: has no sections"),
        (b"data:\n  raw: caf\xe9\n", "params.yaml"),
    ],
)
def test_a_file_that_is_no_mapping_is_a_user_error(project: Path, content: bytes, sentence: str) -> None:
    PARAMS.write_bytes(content)
    assert found()[0].startswith(sentence)


def test_a_missing_file_is_a_user_error(project: Path) -> None:
    PARAMS.unlink()
    assert found() == ["params.yaml is missing: run from the project's root, or restore it with git."]


@pytest.mark.parametrize(
    ("written", "value"), [("3e-05", 3e-05), ("1e-5", 1e-5), ("1.0e-5", 1e-5), ("1", 1.0), ("0.001", 0.001)]
)
def test_floats_are_numbers_however_dvc_writes_them(project: Path, written: str, value: float) -> None:
    replace("train.lr", f"  lr: {written}")
    lr = params.load_params().train.lr
    assert isinstance(lr, float)
    assert lr == value


def test_a_recipe_changes_its_values_alone_and_keeps_comments(project: Path) -> None:
    recipe("# a faster one\ntrain:\n  lr: 5.0e-4\n  packing: false\nformat:\n  template: plain\n")
    before = PARAMS.read_text(encoding="utf-8").splitlines()
    params.apply_recipe("other")
    after = PARAMS.read_text(encoding="utf-8").splitlines()
    changed = [line.split("#")[0].strip() for line, old in zip(after, before, strict=True) if line != old]
    assert sorted(changed) == ["lr: 5.0e-4", "packing: false", "template: plain"]
    assert [line.partition("#")[2] for line in after] == [line.partition("#")[2] for line in before]
    loaded = params.load_params()
    assert (loaded.train.lr, loaded.train.packing, loaded.format.template) == (5e-4, False, "plain")


def test_a_recipe_laid_twice_changes_nothing_more(project: Path) -> None:
    recipe("# a faster one\ntrain:\n  lr: 5.0e-4\n")
    params.apply_recipe("other")
    once = PARAMS.read_bytes()
    params.apply_recipe("other")
    assert PARAMS.read_bytes() == once


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("train:\n  lr: -1\n", "train.lr is -1, and must be greater than 0"),
        ("train:\n  learning_rate: 1\n", "train.learning_rate is not a known parameter"),
        ("trian:\n  lr: 1\n", "trian is not a known parameter: write train."),
        ("train: 5\n", "recipes/other.yaml"),
        ("train:\n", "recipes/other.yaml"),
    ],
)
def test_a_recipe_with_faults_is_refused_and_changes_nothing(project: Path, text: str, sentence: str) -> None:
    recipe(text)
    before = PARAMS.read_bytes()
    with pytest.raises(UserError) as refused:
        params.apply_recipe("other")
    assert sentence in str(refused.value)
    assert "recipes/other.yaml" in str(refused.value)
    assert PARAMS.read_bytes() == before
    with pytest.raises(UserError, match=re.escape(sentence)):
        params.check_params()


def test_an_unknown_recipe_is_refused_with_those_there_are(project: Path) -> None:
    recipe("# one\n", "slow")
    recipe("# two\n", "fast")
    with pytest.raises(UserError, match="recipe 'fsat' does not exist: choose one of defaults, fast, slow"):
        params.apply_recipe("fsat")


def test_a_stage_sees_what_it_declares_and_nothing_else(project: Path) -> None:
    Path("dvc.yaml").write_text(
        "stages:\n"
        "  one: {cmd: x, params: [train.lr, base.revision]}\n"
        "  many: {foreach: [a, b], do: {cmd: x, params: [train.seed]}}\n"
        "  none: {cmd: x}\n"
    )
    whole, one, many = params.load_params(), params.params_for_stage("one"), params.params_for_stage("many")
    assert (one.train.lr, one.base.revision, many.train.seed) == (whole.train.lr, whole.base.revision, whole.train.seed)
    for undeclared in ("train.seed", "base.source", "data.raw"):
        section, key = undeclared.split(".")
        with pytest.raises(AttributeError):
            getattr(getattr(one, section), key)
    with pytest.raises(AttributeError):
        _ = many.train.lr
    with pytest.raises(AttributeError):
        _ = params.params_for_stage("none").train


def test_a_stage_does_not_start_on_faults_elsewhere(project: Path) -> None:
    replace("export.check_tokens", "  check_tokens: 0")
    with pytest.raises(UserError, match=r"export\.check_tokens is 0"):
        params.params_for_stage("clean")


def test_check_passes_here_without_torch() -> None:
    checked = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "src.params", "check"], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
    assert re.fullmatch(r"params\.yaml and \d+ recipes? are valid\.\n", checked.stdout)
    imported = {line.rpartition("|")[2].strip() for line in checked.stderr.splitlines()}
    assert "pydantic" in imported
    assert not imported & {"torch", "transformers", "polars", "numpy"}


def test_the_command_line_fails_without_a_traceback(project: Path) -> None:
    replace("train.lr", "  lr: 0")
    recipe("# wrong\nsample:\n  quantiles: 99\n")
    checked = command("check")
    assert checked.returncode == 1
    assert "Traceback" not in checked.stderr
    assert "train.lr is 0" in checked.stderr
    assert "under recipes/other.yaml" in checked.stderr
    assert "sample.quantiles is 99" in checked.stderr
    missing = command("recipe", "no-such")
    assert missing.returncode == 1
    assert missing.stderr.strip() == "recipe 'no-such' does not exist: choose one of defaults, other."


def test_the_command_line_lists_and_lays_recipes(project: Path) -> None:
    recipe("# A run of one epoch\ntrain:\n  epochs: 1\n", "short")
    listed = command("recipe")
    assert listed.stdout.splitlines()[1].split(maxsplit=1) == ["short", "A run of one epoch"]
    laid = command("recipe", "short")
    assert (laid.returncode, laid.stderr) == (0, "")
    assert params.load_params().train.epochs == 1
