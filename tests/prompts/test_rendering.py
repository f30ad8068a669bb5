"""Prompts as text: what each template renders, the pinned date, and the same bytes in Ollama."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer
from transformers.utils import chat_template_utils

from src.errors import UserError
from src.params import TemplateName
from src.prompts.encoding import render_record
from src.prompts.ollama import fill_template, ollama_template
from src.prompts.rendering import (
    DATE_PIN,
    NO_BOS,
    context_entry,
    prompt_and_completion,
    prompt_turns,
    record_turns,
    reference_text,
    saved_chat_template,
    template_source,
)
from src.prompts.tokenizers import render_turns

INSTRUCTION, QUESTION = "Describe it.", "Title: {title}"
TITLE, ANSWER = "Kerr's {Lamp} & 3\" Shade", "Brass.\n\n### Nice é"
PROMPTS = {
    "chat": (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
        "Today Date: 26 Jul 2024\n\nDescribe it.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
        "Title: Kerr's {Lamp} & 3\" Shade<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    "alpaca": (
        "<|begin_of_text|>Below is an instruction that describes a task, paired with an input that provides further "
        "context. Write a response that appropriately completes the request.\n\n### Instruction:\nDescribe it.\n\n"
        "### Input:\nTitle: Kerr's {Lamp} & 3\" Shade\n\n### Response:\n"
    ),
    "plain": "<|begin_of_text|>Title: Kerr's {Lamp} & 3\" Shade\n\n",
}
CONTEXT = ('Brass Lamp {title}: 9" high', "Oak & Ash: {{ bos_token }}…")
KNOWN = 'Known products:\n- Brass Lamp {title}: 9" high\n- Oak & Ash: {{ bos_token }}…\n\n'
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.fixture
def asked() -> list[dict[str, str]]:
    return prompt_turns(INSTRUCTION, QUESTION, TITLE)


def test_each_template_renders_what_is_written_down(template: TemplateName, tokenizer: Any, asked: Any) -> None:
    assert render_record(tokenizer, prompt_and_completion(template, asked, ANSWER)) == (
        PROMPTS[template],
        ANSWER + "<|eot_id|>",
    )


def test_file_and_tokenizer_render_the_same_bytes(template: TemplateName, tokenizer: Any, asked: Any) -> None:
    prompt, completion = render_record(tokenizer, prompt_and_completion(template, asked, ANSWER))
    assert render_turns(tokenizer, asked, add_generation_prompt=True) == prompt == PROMPTS[template]
    assert render_turns(tokenizer, [*asked, {"role": "assistant", "content": ANSWER}]) == prompt + completion


@settings(max_examples=30)
@given(title=WORDS, answer=WORDS)
@pytest.mark.parametrize("name", get_args(TemplateName))
def test_training_sees_the_prompt_of_generation_and_then_the_answer(
    load: Callable[[str], Any], name: TemplateName, title: str, answer: str
) -> None:
    tokenizer, asked = load(name), prompt_turns(INSTRUCTION, QUESTION, title)
    prompt, completion = render_record(tokenizer, prompt_and_completion(name, asked, answer))
    assert prompt == render_turns(tokenizer, asked, add_generation_prompt=True)
    assert prompt + completion == render_turns(tokenizer, [*asked, {"role": "assistant", "content": answer}])


def test_the_answer_comes_back_from_a_formatted_record(template: TemplateName, asked: Any) -> None:
    record = prompt_and_completion(template, asked, ANSWER)
    assert reference_text(record) == ANSWER
    assert isinstance(record["prompt"], list) == (template == "chat")


@pytest.mark.parametrize("title", ["{title}", "{0} %s \\1", "{{ bos_token }}"])
def test_a_title_is_never_read_as_a_format(template: TemplateName, tokenizer: Any, title: str) -> None:
    record = prompt_and_completion(template, prompt_turns(INSTRUCTION, QUESTION, title), ANSWER)
    assert f"Title: {title}" in render_record(tokenizer, record)[0]


def test_known_products_stand_before_the_question_as_they_are(template: TemplateName, tokenizer: Any) -> None:
    asked = prompt_turns(INSTRUCTION, QUESTION, TITLE, CONTEXT)
    prompt, _ = render_record(tokenizer, prompt_and_completion(template, asked, ANSWER))
    assert prompt == PROMPTS[template].replace(f"Title: {TITLE}", f"{KNOWN}Title: {TITLE}")
    assert prompt == render_turns(tokenizer, asked, add_generation_prompt=True)


def test_the_turns_of_a_record_are_those_of_its_prompt(asked: Any) -> None:
    known = prompt_turns(INSTRUCTION, QUESTION, TITLE, CONTEXT)
    assert record_turns(INSTRUCTION, QUESTION, {"title": TITLE, "context": list(CONTEXT)}) == known != asked
    assert record_turns(INSTRUCTION, QUESTION, {"title": TITLE, "context": []}) == asked
    assert record_turns(INSTRUCTION, QUESTION, {"title": TITLE}) == asked


@pytest.mark.parametrize(
    ("text", "chars", "entry"),
    [
        ("Made of  brass.\n- Fake: entry", 80, "Lamp: Made of brass. - Fake: entry"),
        ("Made of brass.", 20, "Lamp: Made of brass."),
        ("Made of brass.", 19, "Lamp: Made of…"),
        ("x" * 100, 10, "Lamp:…"),
        ("", 20, "Lamp:"),
    ],
)
def test_an_entry_is_one_line_cut_off_behind_a_word(text: str, chars: int, entry: str) -> None:
    assert context_entry("Lamp", text, chars) == entry


@given(title=WORDS, text=WORDS, chars=st.integers(20, 60))
def test_an_entry_is_never_longer_than_allowed(title: str, text: str, chars: int) -> None:
    entry = context_entry(title, text, chars)
    assert len(entry) <= chars and len(entry.splitlines()) <= 1


def rendered_on(day: datetime, tokenizer: Any, asked: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The prompt as it is rendered on another day."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return day

    monkeypatch.setattr(chat_template_utils, "datetime", Clock)
    return render_turns(tokenizer, asked, add_generation_prompt=True)


def test_the_date_is_pinned(template: TemplateName, tokenizer: Any, asked: Any, monkeypatch: Any) -> None:
    days = datetime(2025, 1, 1), datetime(2031, 12, 31)
    assert {rendered_on(day, tokenizer, asked, monkeypatch) for day in days} == {PROMPTS[template]}


def test_without_the_pin_prompts_would_change_overnight(base_folder: Any, asked: Any, monkeypatch: Any) -> None:
    unpinned = AutoTokenizer.from_pretrained(base_folder)
    days = datetime(2025, 1, 1), datetime(2031, 12, 31)
    first, second = (rendered_on(day, unpinned, asked, monkeypatch) for day in days)
    assert "01 Jan 2025" in first
    assert "31 Dec 2031" in second


def test_the_date_is_pinned_once_however_often_the_template_travels() -> None:
    once = saved_chat_template("chat", "{{ date_string }}", "<s>")
    assert saved_chat_template("chat", once, "<s>") == once == DATE_PIN + "{{ date_string }}"
    assert saved_chat_template("alpaca", None, "<s>") == template_source("alpaca")


def test_a_tokenizer_without_a_begin_token_gets_a_template_without_one() -> None:
    once = saved_chat_template("chat", "{{ bos_token }}", None)
    assert saved_chat_template("chat", once, None) == once == DATE_PIN + NO_BOS + "{{ bos_token }}"
    assert saved_chat_template("plain", None, None) == NO_BOS + template_source("plain")


@pytest.mark.parametrize("missing", [None, ""])
def test_chat_needs_a_base_with_a_chat_template(missing: str | None) -> None:
    with pytest.raises(UserError, match=r"format\.template is 'chat', and the base model has no chat template"):
        saved_chat_template("chat", missing, "<s>")


def test_ollama_renders_the_trained_prompt(template: TemplateName, tokenizer: Any) -> None:
    go = ollama_template(tokenizer, QUESTION)
    assert "{{ .Prompt }}" in go
    assert tokenizer.bos_token + fill_template(go, INSTRUCTION, TITLE) == PROMPTS[template]


def test_what_a_title_holds_is_no_template() -> None:
    filled = fill_template("{{ .System }}: {{ .Prompt }}!", "Describe {{ .Prompt }}", r"{{ .System }} \1 lamp")
    assert filled == r"Describe {{ .Prompt }}: {{ .System }} \1 lamp!"
