"""GGUF: which tokenizers are Llama 3's, which models are refused, and what llama.cpp makes of a file."""

import json
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFReader
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from src.errors import UserError
from src.export import gguf
from src.inference.engine import Sampling
from src.inference.llama_cpp import LlamaCppEngine
from src.inference.transformers_engine import TransformersEngine
from src.models.loading import load_base
from src.prompts.llama_3 import LLAMA_3_SPLIT
from src.prompts.rendering import prompt_and_completion, prompt_turns
from src.prompts.tokenizers import render_turns, without_bos
from src.synthetic import tiny_model


def split_by(steps: Any) -> Any:
    """A tokenizer that splits text as given."""
    tokenizer = Tokenizer(models.BPE())
    if steps:
        tokenizer.pre_tokenizer = steps
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def sequence(expression: str) -> Any:
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(expression), "isolated"), pre_tokenizers.ByteLevel()])


def test_the_tiny_tokenizer_splits_like_llama_3(chat_tokenizer: Any) -> None:
    assert tiny_model.LLAMA_3_SPLIT == LLAMA_3_SPLIT
    assert gguf.splits_like_llama_3(chat_tokenizer)
    assert gguf.splits_like_llama_3(split_by(sequence(LLAMA_3_SPLIT)))


@pytest.mark.parametrize(
    "steps",
    [
        sequence(LLAMA_3_SPLIT.replace("{1,3}", "")),
        pre_tokenizers.ByteLevel(),
        pre_tokenizers.Sequence([pre_tokenizers.Whitespace()]),
        None,
    ],
    ids=["digits", "bytes", "spaces", "nothing"],
)
def test_other_tokenizers_do_not(steps: Any) -> None:
    assert not gguf.splits_like_llama_3(split_by(steps))


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
    tokenizer.save_pretrained(tmp_path / "model")
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
