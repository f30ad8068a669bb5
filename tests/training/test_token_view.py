"""Examples to look at: every token is in one span of the right state, in colours and without."""

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from src.prompts.encoding import EncodedRecord, encode_prompt, encode_record, render_record
from src.training.token_view import (
    TokenSpan,
    colour_legend,
    escape_controls,
    paint_spans,
    spread_positions,
    token_spans,
)

ANSWER = "Brass. It is 9 inches high."


def test_spans_are_the_record_in_its_states(tokenizer: Any, record: Any, template: Any) -> None:
    formatted = record(template, "Ünï Lamp", ANSWER)
    prompt, completion = render_record(tokenizer, formatted)
    found = token_spans(tokenizer, encode_record(tokenizer, formatted), 1000)
    assert "".join(span.text for span in found if span.state == "masked") == prompt
    assert [span for span in found if span.state == "trained"] == [
        TokenSpan(ANSWER, "trained", False),
        TokenSpan("<|eot_id|>", "trained", True),
    ]
    assert found[0] == TokenSpan("<|begin_of_text|>", "masked", True)
    assert prompt + completion == "".join(span.text for span in found)


def test_what_train_max_length_truncates_is_shown(tokenizer: Any, record: Any, template: Any) -> None:
    formatted = record(template, "Lamp", ANSWER)
    prompt, whole = len(encode_prompt(tokenizer, formatted["prompt"])), encode_record(tokenizer, formatted)
    found = token_spans(tokenizer, whole, prompt + 2)
    [kept] = [span.text for span in found if span.state == "trained"]
    assert kept == tokenizer.decode(whole.input_ids[prompt : prompt + 2])
    assert "".join(span.text for span in found if span.state == "truncated") == ANSWER.removeprefix(kept) + "<|eot_id|>"
    assert {span.state for span in token_spans(tokenizer, whole, len(whole.input_ids))} == {"trained", "masked"}


def test_neighbouring_special_tokens_are_spans_of_their_own(chat_tokenizer: Any) -> None:
    stop = chat_tokenizer.eos_token_id
    assert len(token_spans(chat_tokenizer, EncodedRecord([stop, stop], [stop, stop]), 9)) == 2


SHOWN = [
    TokenSpan("<|x|>", "masked", True),
    TokenSpan("a\n\nb", "masked", False),
    TokenSpan("c", "trained", False),
    TokenSpan("d", "truncated", False),
]


def test_without_colours_there_are_brackets() -> None:
    assert paint_spans(SHOWN, colours=False) == "<|x|>a\n\nb[[c]]((d))"
    assert colour_legend(colours=False) == "[[trained]], masked, ((truncated)); special tokens as <|text|>"


def test_states_have_colours_that_end_with_the_line() -> None:
    text = paint_spans(SHOWN, colours=True)
    assert text == ("\x1b[2;7m<|x|>\x1b[0m\x1b[2ma\x1b[0m\n\n\x1b[2mb\x1b[0m\x1b[32mc\x1b[0m\x1b[31;9md\x1b[0m")
    assert {"\x1b[32mtrained\x1b[0m", "\x1b[2mmasked\x1b[0m", "\x1b[31;9mtruncated\x1b[0m"} <= set(
        re.split(", |; ", colour_legend(colours=True))
    )


def test_a_title_cannot_steer_the_terminal() -> None:
    assert escape_controls("a\x1b[2Jb\r\x07é\n") == "a\\x1b[2Jb\\r\\x07é\n"


@settings(max_examples=50)
@given(st.lists(st.text(max_size=9), min_size=1, max_size=20), st.integers(1, 25))
def test_examples_are_different_records_from_the_shortest_to_the_longest(records: list[str], count: int) -> None:
    chosen = spread_positions(records, count)
    assert len(set(chosen)) == len(chosen) == min(count, len(records))
    sizes = [len(str(records[position])) for position in chosen]
    assert sizes == sorted(sizes)
    if count > 1:
        longest = max(len(str(text)) for text in records)
        assert sizes[-1] == longest or len(records) == 1


def test_a_single_example_is_the_median() -> None:
    assert spread_positions(["aaa", "b", "cc"], 1) == [2]
    assert spread_positions([], 3) == []
