"""GGUF: which tokenizers are Llama 3's, which models are refused, and what llama.cpp makes of a file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFReader
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast

from src.errors import UserError
from src.export import gguf, vocabulary
from src.export.forms import BY_NAME
from src.export.parity import check_answers, check_prompt_tokens, prompt_checks
from src.export.vocabulary import QWEN_2_SPLIT, SPLITS, split_expression
from src.inference.engine import Sampling
from src.inference.llama_cpp import LlamaCppEngine
from src.inference.transformers_engine import TransformersEngine
from src.models.loading import load_base
from src.prompts.llama_3 import LLAMA_3_SPLIT
from src.prompts.rendering import prompt_and_completion, prompt_turns
from src.prompts.tokenizer_files import save_tokenizer
from src.prompts.tokenizers import load_tokenizer, render_turns, without_bos
from src.synthetic import tiny_model
from tests.conftest import INSTRUCTION, QUESTION
from tests.tiny_bases import FAMILIES, SHAPE, TITLES, write_model, write_qwen2_tokenizer


def split_by(steps: Any) -> Any:
    """A tokenizer that splits text as given."""
    tokenizer = Tokenizer(models.BPE())
    if steps:
        tokenizer.pre_tokenizer = steps
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def sequence(expression: str) -> Any:
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(expression), "isolated"), pre_tokenizers.ByteLevel()])


def split_name(tokenizer: Any) -> str | None:
    """llama.cpp's name for the way in which a tokenizer splits text, where it is known by its expression."""
    return SPLITS.get(split_expression(tokenizer))


def test_splits_are_known_by_their_expression(chat_tokenizer: Any) -> None:
    assert tiny_model.LLAMA_3_SPLIT == LLAMA_3_SPLIT
    assert split_name(chat_tokenizer) == split_name(split_by(sequence(LLAMA_3_SPLIT))) == "llama-bpe"
    assert split_name(split_by(sequence(QWEN_2_SPLIT))) == "qwen2"


@pytest.mark.parametrize(
    "steps",
    [
        sequence(LLAMA_3_SPLIT.replace("{1,3}", "{1,2}")),
        pre_tokenizers.ByteLevel(),
        pre_tokenizers.Sequence([pre_tokenizers.Whitespace()]),
        None,
    ],
    ids=["digits", "bytes", "spaces", "nothing"],
)
def test_other_splits_are_not(steps: Any) -> None:
    assert split_name(split_by(steps)) is None


def test_an_architecture_unknown_to_llama_cpp_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["NoSuchForCausalLM"], "model_type": "none"}))
    with pytest.raises(
        UserError, match=r"the base model is a NoSuchForCausalLM, which llama\.cpp's converter does not"
    ):
        gguf.converter_class(tmp_path)


def test_llama_cpp_renders_and_answers_as_transformers_does(
    base_folder: Path, tokenizer: Any, template: Any, tmp_path: Path
) -> None:
    model = load_base(base_folder, four_bit=False)
    model.half().save_pretrained(tmp_path / "model")
    save_tokenizer(tokenizer, tmp_path / "model")
    gguf.convert_to_gguf(tmp_path / "model", tmp_path / "tiny.gguf", "f16", "tiny")
    named = GGUFReader(tmp_path / "tiny.gguf").fields["tokenizer.ggml.pre"].contents()
    assert named == "llama-bpe"
    turns = prompt_turns("Describe it.", "Title: {title}", "Kerr's Brass Lamp, 3 é 日")
    llama_cpp = LlamaCppEngine(tmp_path / "tiny.gguf")
    trained = without_bos(tokenizer, render_turns(tokenizer, turns, add_generation_prompt=True))
    assert llama_cpp.render_prompt(turns) == trained
    prompt = prompt_and_completion(template, turns, "-")["prompt"]
    expected = TransformersEngine(model.float(), tokenizer, batch_size=1).answer([prompt], Sampling(3))
    assert llama_cpp.answer([turns], Sampling(3)) == expected


def as_gguf(folder: Path, template: Any, target: Path) -> tuple[TransformersEngine, LlamaCppEngine]:
    """A model with the template of a name, in transformers and as a GGUF in llama.cpp."""
    tokenizer, model = load_tokenizer(folder, template), load_base(folder, four_bit=False, exact=True)
    model.half().save_pretrained(target)
    save_tokenizer(tokenizer, target)
    gguf.convert_to_gguf(target, target / "tiny.gguf", "f16", "tiny")
    return TransformersEngine(model.float(), tokenizer, batch_size=1), LlamaCppEngine(target / "tiny.gguf")


@pytest.mark.parametrize("family", FAMILIES)
def test_llama_cpp_reads_and_answers_what_training_encoded(
    family_base: Callable[[str], Path], record: Any, template: Any, family: str, tmp_path: Path
) -> None:
    ours, theirs = as_gguf(family_base(family), template, tmp_path)
    records = [record(template, title, "-") for title in TITLES]
    assert len(records) > 20
    check_prompt_tokens(theirs, ours.tokenizer, records, INSTRUCTION, QUESTION)
    sampling = Sampling(6)
    checks = prompt_checks(ours, records, INSTRUCTION, QUESTION, sampling)
    answers = theirs.answer([check.turns for check in checks], sampling)
    assert check_answers(BY_NAME["f16"], answers, ours, checks) > 0.9
    assert (BY_NAME["f16"].tie or 1) < 0.05


def test_pieces_are_known_without_the_file_of_their_scores(
    family_base: Callable[[str], Path], record: Any, tmp_path: Path
) -> None:
    shutil.copytree(family_base("llama"), tmp_path / "base")
    (tmp_path / "base/tokenizer.model").unlink()
    ours, theirs = as_gguf(tmp_path / "base", "plain", tmp_path / "merged")
    records = [record("plain", title, "-") for title in TITLES]
    check_prompt_tokens(theirs, ours.tokenizer, records, INSTRUCTION, QUESTION)


def test_a_gguf_that_splits_prompts_otherwise_is_refused(
    family_base: Callable[[str], Path], record: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "merge_ranks", lambda merges: {})
    ours, theirs = as_gguf(family_base("llama"), "plain", tmp_path)
    records = [record("plain", title, "-") for title in TITLES]
    with pytest.raises(
        UserError, match=r"tiny\.gguf reads test prompt \d+ from token .* and training read .* choose a base"
    ):
        check_prompt_tokens(theirs, ours.tokenizer, records, INSTRUCTION, QUESTION)


def test_a_split_that_llama_cpp_does_not_know_is_refused(base_folder: Path, tmp_path: Path) -> None:
    write_qwen2_tokenizer(tmp_path, base_folder)
    text = (tmp_path / "tokenizer.json").read_text().replace(r"\\p{N}|", r"\\p{N}{1,2}|")
    (tmp_path / "tokenizer.json").write_text(text)
    write_model(tmp_path, LlamaConfig(**SHAPE, vocab_size=2048))
    with pytest.raises(UserError, match=r"splits text in a way that llama\.cpp's converter does not know"):
        as_gguf(tmp_path, "plain", tmp_path / "merged")
