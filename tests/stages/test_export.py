"""An export that renders other prompts or answers otherwise is refused, and the last good one is left."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from src import params
from src.errors import UserError
from src.export.gguf import convert_to_gguf
from src.export.parity import check_answers, prompt_checks
from src.files import write_json, write_jsonl
from src.inference.engine import Sampling
from src.inference.llama_cpp import LlamaCppEngine
from src.inference.transformers_engine import TransformersEngine
from src.models.adapter import save_adapter
from src.models.backends.transformers import load_trainable
from src.models.base_note import describe_base
from src.models.loading import load_base
from src.numerics import seed_everything
from src.params import Params
from src.prompts.rendering import prompt_and_completion, prompt_turns
from src.prompts.tokenizers import load_tokenizer
from src.serving.note import read_note
from src.stages import export
from tests.faults.table import set_param
from tests.terminal import Terminal, frames, screen

ROOT = Path(__file__).parents[2]
TITLES = ("Oak Desk Lamp, 30 cm", "Kerr's Brass Kettle")


def records(instruction: str, context: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Two formatted test records."""
    asked = {title: prompt_turns(instruction, "{title}", title, context) for title in TITLES}
    return [
        {"uid": title, "title": title, "context": context, **prompt_and_completion("chat", turns, "Fine.")}
        for title, turns in asked.items()
    ]


@pytest.fixture
def trained(project: Path, base_folder: Path) -> Params:
    """A project whose stages before export have run, on a base with random weights and an adapter that does nothing."""
    whole = params.load_params()
    small = whole.export.model_copy(update={"check_prompts": 1, "check_tokens": 3})
    whole = whole.model_copy(update={"export": small})
    Path("models").mkdir()
    Path("models/base").symlink_to(base_folder)
    seed_everything(1)
    model = load_trainable(base_folder, whole.train)
    Path("models/adapter").mkdir()
    note = describe_base(base_folder, whole.train.four_bit)
    save_adapter(model, load_tokenizer(base_folder, "chat"), note, Path("models/adapter"))
    write_jsonl("data/prompts/test.jsonl", records(whole.format.instruction))
    return whole


def test_every_form_is_written(trained: Params) -> None:
    export.main(trained)
    written = {path.name for path in Path("models/export").iterdir()}
    assert written == {"adapter", "merged", "shelftalk-f16.gguf", "shelftalk-q8_0.gguf", "Modelfile"}
    assert "{{ .Prompt }}" in Path("models/export/Modelfile").read_text()
    metrics = json.loads(Path("data/reports/export.json").read_text())
    assert (metrics["prompts"], metrics["prompts_read"]) == (1, len(TITLES))


def test_known_products_are_read_as_in_training(trained: Params) -> None:
    form = trained.format.model_copy(update={"context": "retrieved", "context_records": 2})
    write_jsonl(
        "data/prompts/test.jsonl", records(form.instruction, ["Oak Lamp: {title} & more.", "Kettle: Of brass."])
    )
    export.main(trained.model_copy(update={"format": form}))
    assert read_note(Path("models/export")).context_records == 2


@pytest.mark.parametrize(("share", "served"), [(1.0, "q8_0"), (0.5, "f16")])
def test_the_modelfile_takes_what_the_measurements_favour(
    trained: Params, monkeypatch: pytest.MonkeyPatch, share: float, served: str
) -> None:
    measured = {"f16": 1.0, "q8_0": share}
    monkeypatch.setattr(export, "check_ggufs", lambda *_: measured)
    outcome = export.main(trained)
    assert Path("models/export/Modelfile").read_text().startswith(f"FROM ./shelftalk-{served}.gguf\n")
    assert json.loads(Path("data/reports/export.json").read_text())["modelfile"] == served
    assert outcome.line.endswith(f"100% from f16 and {share:.0%} from q8_0; the Modelfile takes {served}")


def test_a_gguf_that_renders_another_prompt_is_refused_and_the_last_export_is_left(trained: Params) -> None:
    write_json("models/export/marker.json", "the last good one")
    write_jsonl("data/prompts/test.jsonl", records("Another instruction than params.yaml has."))
    with pytest.raises(UserError, match=r"shelftalk-f16\.gguf renders the prompt .* and training saw"):
        export.main(trained)
    assert [path.name for path in Path("models/export").iterdir()] == ["marker.json"]
    assert not Path("data/reports/export.json").exists()


def test_libraries_leave_nothing_in_the_terminal(trained: Params, base_folder: Path) -> None:
    """Neither bars nor warnings, here of a tokenizer that puts a begin token between two texts, as Llama 3's do."""
    adapter = Path("models/adapter/tokenizer.json")
    tokenizer = json.loads(adapter.read_text(encoding="utf-8"))
    begin, pair = tokenizer["post_processor"]["single"][0], tokenizer["post_processor"]["pair"]
    tokenizer["post_processor"]["pair"] = [*pair[:-1], begin, pair[-1]]
    adapter.write_text(json.dumps(tokenizer), encoding="utf-8")
    set_param("export.check_prompts", "2")
    set_param("export.check_tokens", "3")
    terminal = Terminal(100)
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal.file)
    command, environment = [sys.executable, "-m", "src.stages.export"], os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command, env=environment, check=True, **streams)  # type: ignore[call-overload]
    output = terminal.output()
    shown = "".join(screen(output))
    assert shown.startswith("export: merged weights within") and shown.endswith(" s)"), shown
    assert any(frame.startswith("Merging the adapter") for frame in frames(output))
    assert not [frame for frame in frames(output) if "shards" in frame]


@pytest.mark.parametrize("precision", ["f16", "q8_0"])
def test_a_gguf_of_another_model_is_refused(trained: Params, precision: str, tmp_path: Path) -> None:
    tokenizer = load_tokenizer("models/base", "chat")
    ours = load_base(Path("models/base"), four_bit=False, exact=True)
    other = load_base(Path("models/base"), four_bit=False, exact=True)
    for layer in other.model.layers:
        layer.mlp.down_proj.weight.data.neg_()
    other.half().save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    path = tmp_path / f"shelftalk-{precision}.gguf"
    convert_to_gguf(tmp_path / "other", path, precision, "other")
    merged, sampling = TransformersEngine(ours, tokenizer, batch_size=1), Sampling(3)
    instruction, question = trained.format.instruction, trained.format.question
    checks = prompt_checks(merged, records(instruction), instruction, question, sampling)
    with pytest.raises(UserError, match=f"shelftalk-{precision}.gguf answers check prompt 1 otherwise"):
        check_answers(LlamaCppEngine(path), precision, merged, checks, sampling)
