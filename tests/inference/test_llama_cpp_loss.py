"""The loss that llama.cpp gives is that of transformers, of every token of the reference and of the stop token."""

from pathlib import Path
from typing import Any

import pytest

from src.errors import UserError
from src.export.gguf import convert_to_gguf
from src.inference.llama_cpp import LlamaCppEngine
from src.inference.llama_cpp_loss import ForcedReferences, encode_reference, llama_cpp_losses
from src.inference.reference_loss import reference_losses
from src.prompts.tokenizers import end_of_turn_id

TEXTS = ["A lamp of brass.", "Café 😀 日本, piñata!", "x"]


@pytest.fixture(scope="module")
def engine(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LlamaCppEngine:
    path = tmp_path_factory.mktemp("loss") / "tiny.gguf"
    convert_to_gguf(base_folder, path, "f16", "tiny")
    return LlamaCppEngine(path)


@pytest.fixture
def records(record: Any) -> list[dict[str, Any]]:
    return [record("chat", "Brass Lamp", text) for text in TEXTS]


@pytest.mark.parametrize("length", [256, 30])
def test_it_is_that_of_transformers(
    engine: LlamaCppEngine, model: Any, chat_tokenizer: Any, records: list[Any], length: int
) -> None:
    """Cut off by the length, too; the embedded base's weights have 16 bits in both."""
    expected = reference_losses(model, chat_tokenizer, records, length)
    found = llama_cpp_losses(engine, chat_tokenizer, records, length)
    assert [loss.tokens for loss in found] == [loss.tokens for loss in expected]
    assert [loss.nats for loss in found] == pytest.approx([loss.nats for loss in expected], rel=1e-3)


def test_it_repeats_whatever_was_asked_before(engine: LlamaCppEngine, chat_tokenizer: Any, records: list[Any]) -> None:
    forward = llama_cpp_losses(engine, chat_tokenizer, records, 256)
    assert llama_cpp_losses(engine, chat_tokenizer, records[::-1], 256) == forward[::-1]


def test_parts_of_letters_and_the_stop_token_are_asked_for_alone(
    engine: LlamaCppEngine, chat_tokenizer: Any, records: list[Any]
) -> None:
    measure, reference = ForcedReferences(engine, chat_tokenizer), encode_reference(chat_tokenizer, records[1], 256)
    runs = list(measure.runs(reference))
    assert [start for start, _ in runs] == [reference.prompt_length, *(end for _, end in runs[:-1])]
    assert reference.token_ids[runs[-1][0] :] == [end_of_turn_id(chat_tokenizer)]
    assert any(not measure.fits_grammar(reference.token_ids[start]) for start, _ in runs[:-1])


def test_tokens_that_llama_cpp_does_not_write_have_no_loss(
    engine: LlamaCppEngine, chat_tokenizer: Any, records: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.inference.llama_cpp_loss.token_grammar", lambda tokens: 'root ::= "x"+')
    with pytest.raises(UserError, match="cannot be made to write the references of the test records with tiny"):
        llama_cpp_losses(engine, chat_tokenizer, records, 256)
