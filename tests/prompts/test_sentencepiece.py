"""SentencePiece tokenizers: encoded as tokenizer.json has it, the same after they were saved, prompt and completion."""

from pathlib import Path
from typing import Any, get_args

import pytest
from transformers import AutoTokenizer

from src.prompts.encoding import encode_record, render_prompt
from src.prompts.rendering import prompt_turns
from src.prompts.tokenizer_files import puts_space_after_special, save_tokenizer
from src.prompts.tokenizers import load_tokenizer, token_ids
from tests.tiny_bases import TITLES, Spaces, write_sentencepiece

FILES = ("tokenizer.json", "tokenizer.model")


@pytest.fixture(params=get_args(Spaces))
def spaces(request: pytest.FixtureRequest) -> Spaces:
    return request.param


@pytest.fixture(params=[True, False], ids=["legacy", "new"])
def base(request: pytest.FixtureRequest, spaces: Spaces, tmp_path: Path) -> Path:
    """The tokenizer of a base model; by `legacy` transformers' class for Llama puts spaces itself."""
    write_sentencepiece(tmp_path / "base", spaces, legacy=request.param)
    return tmp_path / "base"


def test_spaces_are_where_tokenizer_json_puts_them(base: Path, spaces: Spaces) -> None:
    tokenizer = load_tokenizer(base, "chat")
    begin, first, *_ = tokenizer.tokenize("<s>Waffle")
    assert (begin, first) == ("<s>", "▁W" if spaces == "prepend" else "W")
    assert puts_space_after_special(tokenizer) == (spaces == "prepend")


def test_a_saved_tokenizer_encodes_as_the_base_does(base: Path, template: Any, tmp_path: Path) -> None:
    tokenizer, saved = load_tokenizer(base, template), tmp_path / "saved"
    saved.mkdir()
    save_tokenizer(tokenizer, saved)
    assert {name: (saved / name).read_bytes() for name in FILES} == {name: (base / name).read_bytes() for name in FILES}
    again, elsewhere = load_tokenizer(saved, template), AutoTokenizer.from_pretrained(saved)
    assert again.chat_template == elsewhere.chat_template == tokenizer.chat_template
    for title in TITLES:
        text = render_prompt(tokenizer, prompt_turns("Describe it.", "{title}", title))
        assert token_ids(again, text) == token_ids(elsewhere, text) == token_ids(tokenizer, text)


def test_a_completion_goes_on_where_the_prompt_ends(base: Path, record: Any, template: Any) -> None:
    tokenizer = load_tokenizer(base, template)
    encoded = encode_record(tokenizer, record(template, "Brass Lamp", "A lamp."))
    trained = [label for label in encoded.labels if label >= 0]
    assert tokenizer.convert_ids_to_tokens(trained) == ["A", "▁l", "am", "p", ".", "</s>"]
    assert str(tokenizer.decode(encoded.input_ids)).endswith("\nA lamp.</s>")
