"""An export that renders other prompts or answers otherwise is refused, and the last good one is left."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from src import params
from src.errors import UserError
from src.files import read_tsv, write_json, write_jsonl
from src.models.adapter import save_adapter
from src.models.backends.transformers import load_trainable
from src.models.base_note import describe_base
from src.numerics import seed_everything
from src.params import Params
from src.prompts.rendering import prompt_and_completion, prompt_turns
from src.prompts.tokenizers import load_tokenizer
from src.serving.note import read_note
from src.stages import export
from src.synthetic.catalogue import generate_products
from tests.faults.table import set_param
from tests.terminal import Terminal, frames, screen

ROOT = Path(__file__).parents[2]
EMBEDDED = ROOT / "models/embedded"
COUNT = 3


def records(instruction: str, context: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Formatted test records such as the embedded base was trained on."""
    return [
        {"uid": product.title, "title": product.title, "context": context}
        | prompt_and_completion("chat", prompt_turns(instruction, "{title}", product.title, context), product.content)
        for product in generate_products(seed=3, count=COUNT)
    ]


@pytest.fixture
def trained(project: Path) -> Params:
    """A project whose stages before export have run, on the embedded base with an adapter of random weights."""
    whole = params.load_params()
    small = whole.export.model_copy(update={"check_prompts": 2, "check_tokens": 8})
    whole = whole.model_copy(update={"export": small})
    Path("models").mkdir()
    Path("models/base").symlink_to(EMBEDDED)
    seed_everything(1)
    model = load_trainable(EMBEDDED, whole.train)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.01)
    Path("models/adapter").mkdir()
    note = describe_base(EMBEDDED, whole.train.four_bit)
    save_adapter(model, load_tokenizer(EMBEDDED, "chat"), note, Path("models/adapter"))
    write_jsonl("data/prompts/test.jsonl", records(whole.format.instruction))
    return whole


FILES = {
    "adapter",
    "merged",
    "shelftalk-f16.gguf",
    "shelftalk-q8_0.gguf",
    "shelftalk-q4_k_m.gguf",
    "base-q8_0.gguf",
    "shelftalk-lora.gguf",
    "Modelfile",
    "serving.json",
}


def with_formats(trained: Params, *formats: str) -> Params:
    """The parameters with other forms."""
    return trained.model_copy(update={"export": trained.export.model_copy(update={"formats": list(formats)})})


def exported() -> set[str]:
    """What is in the export's folder."""
    return {path.name for path in Path("models/export").iterdir()}


def test_every_form_is_written_and_measured(trained: Params, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = export.main(trained)
    assert exported() == FILES
    assert "{{ .Prompt }}" in Path("models/export/Modelfile").read_text()
    metrics = json.loads(Path("data/reports/export.json").read_text())
    assert (metrics["prompts"], metrics["prompts_read"]) == (2, COUNT)
    names = ["adapter", "merged", "merged_16bit", "f16", "q8_0", "q4_k_m", "lora"]
    assert list(metrics["forms"]) == [row["form"] for row in read_tsv("data/tables/export/forms.tsv")] == names
    assert metrics["merged_16bit_loss_difference"] == metrics["forms"]["merged_16bit"]["loss_difference"]
    assert metrics["forms"]["merged_16bit"]["loss"] != metrics["forms"]["merged"]["loss"]  # its base is not in 4 bits
    assert metrics["forms"]["q4_k_m"]["bytes"] < metrics["forms"]["q8_0"]["bytes"] < metrics["forms"]["f16"]["bytes"]
    for form in metrics["forms"].values():
        assert form["loss_difference_low"] <= form["loss_difference"] <= form["loss_difference_high"]
    assert list(outcome.measured["forms"]) == names[3:]
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["form", *names]


def test_only_the_chosen_forms_are_kept(trained: Params) -> None:
    export.main(with_formats(trained, "q4_k_m"))
    assert exported() == {"adapter", "shelftalk-q4_k_m.gguf", "Modelfile", "serving.json"}
    assert Path("models/export/Modelfile").read_text().startswith("FROM ./shelftalk-q4_k_m.gguf\n")


def test_a_merge_into_the_16_bit_base_is_refused_where_it_is_the_only_one(trained: Params) -> None:
    sixteen_bit = trained.model_copy(update={"train": trained.train.model_copy(update={"four_bit": False})})
    with pytest.raises(UserError, match=r"export\.formats has merged_16bit, .* take merged_16bit out"):
        export.main(with_formats(sixteen_bit, "merged_16bit", "f16"))


def test_known_products_are_read_as_in_training(trained: Params) -> None:
    form = trained.format.model_copy(update={"context": "retrieved", "context_records": 2})
    write_jsonl(
        "data/prompts/test.jsonl", records(form.instruction, ["Oak Lamp: {title} & more.", "Kettle: Of brass."])
    )
    export.main(trained.model_copy(update={"format": form}))
    assert read_note(Path("models/export")).context_records == 2


def test_a_gguf_that_renders_another_prompt_is_refused_and_the_last_export_is_left(trained: Params) -> None:
    write_json("models/export/marker.json", "the last good one")
    as_trained, otherwise = (records(words) for words in (trained.format.instruction, "Another instruction."))
    write_jsonl("data/prompts/test.jsonl", [*as_trained[:-1], otherwise[-1]])  # read only, and not answered
    with pytest.raises(UserError, match=r"shelftalk-f16\.gguf renders the prompt .* and training saw"):
        export.main(trained)
    assert [path.name for path in Path("models/export").iterdir()] == ["marker.json"]
    assert not Path("data/reports/export.json").exists()


def test_libraries_leave_nothing_in_the_terminal(trained: Params) -> None:
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
    assert shown.startswith("form ") and "export: the merged weights find" in shown and shown.endswith(" s)"), shown
    assert any(frame.startswith("Merging the adapter") for frame in frames(output))
    assert not [frame for frame in frames(output) if "shards" in frame]
