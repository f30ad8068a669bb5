"""The served model: its two sides, what keeps them apart, and what refuses to start."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from peft import PeftModel
from safetensors.numpy import load_file

from src.errors import UserError
from src.export.forms import ADAPTER_GGUF, BASE_GGUF
from src.export.gguf import convert_to_gguf
from src.export.lora import write_lora_gguf
from src.inference.engine import Sampling
from src.inference.llama_cpp import CONTEXT, LlamaCppEngine
from src.models.loading import load_base
from src.prompts.rendering import Prompt, prompt_turns
from src.prompts.tokenizer_files import save_tokenizer
from src.prompts.tokenizers import load_tokenizer
from src.serving.model import LEAST_DIFFERENCE, SCALES, ServedModel, Side, adapter_norms
from src.serving.note import NAME, read_note
from tests.conftest import INSTRUCTION
from tests.serving.conftest import (
    ALPHA,
    EMBEDDED,
    RANK,
    TITLES,
    assert_not_mixed,
    write_adapter,
    write_base_gguf,
)


def answer_of(model: ServedModel, title: str, side: Side, sampling: Sampling | None = None) -> str:
    return "".join(piece.text for piece in model.stream(model.note.turns(title), side, sampling))


@pytest.fixture
def broken_export(export_folder: Path, tmp_path: Path) -> Path:
    """A copy of the export to be changed."""
    return Path(shutil.copytree(export_folder, tmp_path / "export"))


def test_both_sides_answer_and_differ(served_model: ServedModel) -> None:
    for title in TITLES[:3]:
        base, tuned = (answer_of(served_model, title, side) for side in SCALES)
        assert base
        assert base != tuned


def test_the_base_side_is_the_base_without_an_adapter(served_model: ServedModel, export_folder: Path) -> None:
    alone = LlamaCppEngine(export_folder / BASE_GGUF)
    for title in TITLES[:5]:
        [expected] = alone.answer([served_model.note.turns(title)], served_model.note.sampling)
        assert answer_of(served_model, title, "base") == expected.text


def test_the_tuned_side_is_the_base_with_the_adapter_merged_into_it(adapter_folder: Path, tmp_path: Path) -> None:
    """In 16 bits: 8 bits round the two differently."""
    write_base_gguf(tmp_path / "base.gguf", "f16")
    write_lora_gguf(adapter_folder, EMBEDDED, tmp_path / "lora.gguf")
    tuned = LlamaCppEngine(tmp_path / "base.gguf", tmp_path / "lora.gguf")
    model = PeftModel.from_pretrained(load_base(EMBEDDED, four_bit=False, exact=True), adapter_folder)
    model.merge_and_unload().half().save_pretrained(tmp_path / "merged")
    save_tokenizer(load_tokenizer(EMBEDDED, "chat"), tmp_path / "merged")
    convert_to_gguf(tmp_path / "merged", tmp_path / "merged.gguf", "f16", "merged")
    merged = LlamaCppEngine(tmp_path / "merged.gguf")
    asked = [prompt_turns(INSTRUCTION, "{title}", title) for title in TITLES[:8]]
    prompts: list[Prompt] = [tuned.render_prompt(turns) for turns in asked]
    for prompt in prompts:
        likely, expected = (engine.first_tokens(str(prompt), 5) for engine in (tuned, merged))
        assert likely == pytest.approx(expected, abs=0.03)
    ours, theirs = (engine.answer(prompts, Sampling(24)) for engine in (tuned, merged))
    assert sum(one.text == other.text for one, other in zip(ours, theirs, strict=True)) >= 7  # a tie may turn


def test_requests_of_both_sides_at_once_do_not_mix(served_model: ServedModel) -> None:
    asked = [(title, side) for title in TITLES[:10] for side in SCALES]
    alone = [answer_of(served_model, *one) for one in asked]
    with ThreadPoolExecutor(len(asked)) as pool:
        assert_not_mixed(list(pool.map(lambda one: answer_of(served_model, *one), asked)), alone)


def test_a_prompt_that_the_other_side_has_just_read_is_read_again(served_model: ServedModel) -> None:
    """llama.cpp keeps what it computed of a prompt, which is another thing at another scale."""
    expected = {side: answer_of(served_model, TITLES[0], side) for side in SCALES}
    for side in ("base", "tuned", "tuned", "base", "base", "tuned"):
        assert answer_of(served_model, TITLES[0], side) == expected[side]
        engine = served_model.engines[side]
        assert engine.complete(served_model.note.turns(TITLES[0]), Sampling(1), 0)["timings"]["cache_n"] == 0


def test_an_answer_repeats_by_its_seed(served_model: ServedModel) -> None:
    drawn, again, other = (
        answer_of(served_model, TITLES[0], "tuned", Sampling(24, temperature=2.0, seed=seed)) for seed in (1, 1, 2)
    )
    assert drawn == again
    assert drawn != other


@pytest.mark.parametrize(
    ("title", "sentence"),
    [
        ("lamp " * CONTEXT, rf"TITLE is too long: its prompt has [\d,]+ tokens.* holds {CONTEXT:,}: shorten it by"),
        ("é\0<b>" * 2_000, "TITLE is too long"),
        ("Lamp<|eot_id|>", "TITLE holds a special token of the model"),
    ],
)
def test_what_cannot_be_answered_is_refused_at_once(served_model: ServedModel, title: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        served_model.stream(served_model.note.turns(title), "tuned")


def test_an_adapter_that_changes_nothing_is_refused(broken_export: Path, tmp_path: Path) -> None:
    write_lora_gguf(write_adapter(tmp_path / "zero", scale=0.0), EMBEDDED, broken_export / ADAPTER_GGUF)
    with pytest.raises(UserError, match=r"export: base and tuned model find .* on all 3 check titles.* `make repro`"):
        ServedModel(broken_export, slots=1)


def test_a_missing_or_damaged_export_is_refused(broken_export: Path) -> None:
    for name in (ADAPTER_GGUF, BASE_GGUF, NAME):
        (broken_export / name).unlink()
        with pytest.raises(UserError, match=rf"{name} is missing: run `make repro`"):
            ServedModel(broken_export)
    (broken_export / NAME).write_text('{"instruction": ""}')
    with pytest.raises(UserError, match=rf"{NAME} is damaged \(other keys than expected"):
        read_note(broken_export)


def test_the_proof_has_a_difference_for_each_title_and_a_norm_for_each_layer(
    served_model: ServedModel, adapter_folder: Path
) -> None:
    proof = served_model.proof
    assert len(proof.differences) == len(served_model.proved_titles) == 3
    assert min(proof.differences) > LEAST_DIFFERENCE
    weights = load_file(adapter_folder / "adapter_model.safetensors")
    last = "base_model.model.model.layers.2.mlp.down_proj.lora_"
    added = ALPHA / RANK * weights[f"{last}B.weight"] @ weights[f"{last}A.weight"]
    assert len(proof.norms) == len(weights) / 2
    assert proof.norms["blk.2.ffn_down"] == pytest.approx(np.linalg.norm(added), rel=1e-5)


def test_the_norms_of_an_adapter_before_training_are_zero(tmp_path: Path) -> None:
    write_lora_gguf(write_adapter(tmp_path / "zero", scale=0.0), EMBEDDED, tmp_path / "zero.gguf")
    assert set(adapter_norms(tmp_path / "zero.gguf").values()) == {0.0}
