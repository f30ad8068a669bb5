"""Engines behind one interface: the same model gives the same answers through any library."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from src.errors import UserError
from src.export.gguf import convert_to_gguf
from src.export.parity import answer_agreement
from src.inference.engine import Answer, Engine, Sampling, TokenCounts
from src.inference.llama_cpp import CONTEXT, LlamaCppEngine
from src.inference.transformers_engine import TransformersEngine
from src.prompts.encoding import encode_prompt, render_prompt
from src.prompts.rendering import Prompt, prompt_turns
from src.prompts.tokenizers import end_of_turn_id, token_ids, without_bos

ANSWERS = {"Kerr's Brass Lamp, 3 é 日": "A lamp 鹅 of brass.", "Owl": ""}  # by title
PROMPTS: list[Prompt] = [prompt_turns("Describe it.", "Title: {title}", title) for title in ANSWERS]
LOGIT = 10.0  # of the token that is to come; all others have 0, so that rounding to 16 bits changes no token


def teach_answers(model: Any, tokenizer: Any) -> None:
    """Gives a model with random weights a head that answers each prompt as ANSWERS has it, and stops there."""
    states, expected = [], []
    for prompt, answer in zip(PROMPTS, ANSWERS.values(), strict=True):
        asked, answered = encode_prompt(tokenizer, prompt), token_ids(tokenizer, answer)
        hidden = model(torch.tensor([asked + answered]), output_hidden_states=True).hidden_states[-1][0]
        states.append(hidden[len(asked) - 1 :])
        expected += [*answered, end_of_turn_id(tokenizer)]
    torch.nn.init.zeros_(model.lm_head.weight)
    for token in set(expected):
        logits = torch.tensor([[LOGIT if token == other else 0.0] for other in expected])
        model.lm_head.weight[token] = torch.linalg.lstsq(torch.cat(states), logits).solution[:, 0]


@pytest.fixture(scope="module")
def engines(base_folder: Path, load: Callable[..., Any], tmp_path_factory: Any) -> dict[str, Engine]:
    """The same model in transformers and in llama.cpp."""
    folder, tokenizer = tmp_path_factory.mktemp("stopping"), load("chat")
    model = AutoModelForCausalLM.from_pretrained(base_folder, tie_word_embeddings=False).eval()
    with torch.no_grad():
        teach_answers(model, tokenizer)
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    convert_to_gguf(folder, folder / "tiny.gguf", "f16", "tiny")
    return {
        "transformers": TransformersEngine(model.float(), tokenizer, batch_size=2),
        "llama.cpp": LlamaCppEngine(folder / "tiny.gguf"),
    }


@pytest.fixture(params=["transformers", "llama.cpp"])
def engine(request: pytest.FixtureRequest, engines: dict[str, Engine]) -> Engine:
    """Each engine in turn."""
    return engines[request.param]


def test_the_token_that_stops_an_answer_is_none_of_its_tokens(engine: Engine, chat_tokenizer: Any) -> None:
    answers = engine.answer(PROMPTS, Sampling(max_new_tokens=20))
    assert answers == [Answer(text, token_ids(chat_tokenizer, text), "stop") for text in ANSWERS.values()]


def test_an_answer_at_its_greatest_length_is_no_finished_one(engine: Engine, chat_tokenizer: Any) -> None:
    whole = token_ids(chat_tokenizer, next(iter(ANSWERS.values())))
    [truncated] = engine.answer(PROMPTS[:1], Sampling(len(whole)))
    assert (truncated.token_ids, truncated.finish_reason) == (whole, "length")
    [stopped] = engine.answer(PROMPTS[:1], Sampling(len(whole) + 1))  # the stop token is generated as well
    assert (stopped.token_ids, stopped.finish_reason) == (whole, "stop")


@pytest.mark.parametrize("max_new_tokens", [1, 3, 20])
def test_engines_give_the_same_answers(engines: dict[str, Engine], max_new_tokens: int) -> None:
    ours, theirs = (engine.answer(PROMPTS, Sampling(max_new_tokens)) for engine in engines.values())
    assert ours == theirs
    assert answer_agreement(theirs, ours) == 1


def test_rendered_text_is_answered_as_its_turns_are(engine: Engine, chat_tokenizer: Any) -> None:
    texts: list[Prompt] = [without_bos(chat_tokenizer, render_prompt(chat_tokenizer, prompt)) for prompt in PROMPTS]
    assert engine.answer(texts, Sampling(20)) == engine.answer(PROMPTS, Sampling(20))


def test_llama_cpp_renders_a_prompt_by_the_template_in_the_file(engines: dict[str, Any], chat_tokenizer: Any) -> None:
    for prompt in PROMPTS:
        trained = without_bos(chat_tokenizer, render_prompt(chat_tokenizer, prompt))
        assert engines["llama.cpp"].render_prompt(prompt) == trained


def test_llama_cpp_gives_an_answer_in_pieces(engines: dict[str, Any], chat_tokenizer: Any) -> None:
    for prompt, expected in zip(PROMPTS, ANSWERS.values(), strict=True):
        text = without_bos(chat_tokenizer, render_prompt(chat_tokenizer, prompt))
        pieces = list(engines["llama.cpp"].stream(text, Sampling(20)))
        assert "".join(piece.text for piece in pieces) == expected
        assert len(pieces) > 2 or not expected
        assert [piece.finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + ["stop"]
        asked, answered = encode_prompt(chat_tokenizer, prompt), token_ids(chat_tokenizer, expected)
        assert pieces[-1].counted == TokenCounts(len(asked), len(answered) + 1)  # the stop token is generated as well


def test_llama_cpp_reads_the_tokens_that_a_prompt_was_trained_in(engines: dict[str, Any], chat_tokenizer: Any) -> None:
    for prompt in PROMPTS:
        text = without_bos(chat_tokenizer, render_prompt(chat_tokenizer, prompt))
        assert engines["llama.cpp"].token_ids(text) == encode_prompt(chat_tokenizer, prompt)


def test_a_prompt_that_is_longer_than_the_context_is_a_user_error(engines: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"does not answer a prompt \(request \(\d+ tokens\) exceeds .* shorten"):
        engines["llama.cpp"].answer([prompt_turns("Describe it.", "{title}", "lamp " * CONTEXT)], Sampling(1))


def test_every_engine_draws_tokens_as_often_as_the_model_has_it(engine: Engine, engines: dict[str, Any]) -> None:
    model = engines["transformers"]
    with torch.no_grad():
        logits = model.model(torch.tensor([encode_prompt(model.tokenizer, PROMPTS[0])])).logits[0, -1]
    likely, temperature, draws = int(logits.argmax()), 1.3, 300
    share = float((logits / temperature).softmax(-1)[likely])
    assert 0.05 < share < 0.95
    drawn = engine.answer(PROMPTS[:1] * draws, Sampling(1, temperature=temperature, seed=1))
    found = sum(answer.token_ids == [likely] for answer in drawn) / draws
    assert found == pytest.approx(share, abs=4 * (share * (1 - share) / draws) ** 0.5)


def test_every_engine_repeats_its_draws_by_the_seed(engine: Engine) -> None:
    drawn, again, others = (
        [answer.token_ids for answer in engine.answer(PROMPTS, Sampling(20, temperature=3.0, seed=seed))]
        for seed in (1, 1, 2)
    )
    assert drawn == again
    assert drawn != others


def test_every_engine_is_greedy_where_one_token_may_be_drawn(engine: Engine) -> None:
    assert engine.answer(PROMPTS, Sampling(20, temperature=2.0, top_k=1)) == engine.answer(PROMPTS, Sampling(20))
