"""The audit's metrics on sets made by hand, and each of its reasons to refuse."""

from copy import deepcopy
from itertools import combinations, pairwise
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.errors import UserError
from src.params import AuditParams, TrainParams
from src.prompts.encoding import IGNORE_INDEX, EncodedRecord, encode_prompt, encode_record
from src.training.label_audit import (
    audit_labels,
    epoch_tokens,
    length_histogram,
    padding_share,
    row_shape,
    token_shares,
)
from src.training.prompt_checks import check_prompts, find_places, first_record, label_faults

TRAIN, TEST = "data/prompts/train.jsonl", "data/prompts/test.jsonl"
LIMITS, ANY = AuditParams(max_truncated_share=0.25), AuditParams(max_truncated_share=1.0)
SHORT, LONG = "Brass.", "Brass. " * 20 + "Brass."


@pytest.fixture
def splits(template: Any, record: Any) -> dict[str, list[Any]]:
    """Three short records and a long one to train on, one to test on."""
    trained = [record(template, "Lamp", answer) for answer in [SHORT, SHORT, SHORT, LONG]]
    return {TRAIN: trained, TEST: [record(template, "Hose", SHORT)]}


@pytest.fixture
def lengths(tokenizer: Any, splits: dict[str, list[Any]]) -> tuple[int, int, int]:
    """Tokens of the training records' prompt, of the short answer and of the long one, each with its stop token."""
    short, long = (len(tokenizer.tokenize(f"{answer}<|eot_id|>")) for answer in (SHORT, LONG))
    return len(encode_prompt(tokenizer, splits[TRAIN][0]["prompt"])), short, long


def refused(tokenizer: Any, splits: dict[str, list[Any]], train: TrainParams, share: float = 1.0) -> list[str]:
    """The reasons for which the records are refused."""
    with pytest.raises(UserError) as error:
        check_prompts(tokenizer, splits, AuditParams(max_truncated_share=share), train)
    return str(error.value).splitlines()


def test_records_are_measured_as_they_will_be_trained(
    tokenizer: Any, splits: Any, lengths: tuple[int, int, int], train_params: TrainParams
) -> None:
    prompt, short, long = lengths
    train = train_params.model_copy(update={"max_length": prompt + short + 1, "packing": False})
    metrics, bars, parts = audit_labels(check_prompts(tokenizer, splits, LIMITS, train)[TRAIN], train, processes=1)
    expected = {
        "records": 4,
        **{f"prompt_tokens_{rank}": prompt for rank in ("p5", "p25", "p50", "p75", "p95", "p99", "max")},
        **{f"answer_tokens_{rank}": short for rank in ("p5", "p25", "p50", "p75")},
        **{f"answer_tokens_{rank}": long for rank in ("p95", "p99", "max")},
        **{f"tokens_{rank}": prompt + short for rank in ("p5", "p25", "p50", "p75")},
        **{f"tokens_{rank}": prompt + long for rank in ("p95", "p99", "max")},
        "truncated_share": 0.25,
        "tokens_per_epoch": 4 * (prompt + short) + 1,
        "trained_token_share": round((4 * short + 1) / (4 * (prompt + short) + 1), 6),
        "rows": 4,
        "row_tokens_max": prompt + short + 1,
        "predicted_steps": 2,
    }
    assert {key: metrics[key] for key in expected} == expected
    assert set(metrics) - set(expected) == {"padding_share_packed", "padding_share_unpacked"}
    assert sum(bar["records"] for bar in bars) == 4
    assert len(parts) == 6


def test_tokens_of_an_epoch_are_counted() -> None:
    encoded = [EncodedRecord([1, 2, 3], [IGNORE_INDEX, 2, 3]), EncodedRecord([1, 1], [IGNORE_INDEX, IGNORE_INDEX])]
    assert epoch_tokens(encoded) == {"tokens_per_epoch": 5, "trained_token_share": 0.4}


def test_rows_and_steps_are_those_of_packing(train_params: TrainParams) -> None:
    encoded = [EncodedRecord([7] * length, [7] * length) for length in (12, 16, 4, 8)]
    packed = train_params.model_copy(update={"max_length": 20, "batch_size": 1, "accumulation": 2, "epochs": 3.0})
    padding = {"padding_share_packed": 0.0, "padding_share_unpacked": 0.0}
    assert row_shape(encoded, packed, 1) == {"rows": 2, "row_tokens_max": 20, **padding, "predicted_steps": 3}
    single = packed.model_copy(update={"packing": False})
    assert row_shape(encoded, single, 1) == {"rows": 4, "row_tokens_max": 16, **padding, "predicted_steps": 6}
    assert row_shape(encoded, packed.model_copy(update={"max_steps": 7}), 1)["predicted_steps"] == 7
    pairs = row_shape(encoded, packed.model_copy(update={"batch_size": 2}), 1)
    assert (pairs["padding_share_packed"], pairs["padding_share_unpacked"]) == (0.0, padding_share([[12, 16, 4, 8]], 2))


def test_each_round_packs_and_batches_its_own_part(train_params: TrainParams) -> None:
    encoded = [EncodedRecord([7] * length, [7] * length) for length in (12, 12, 4, 8, 10, 8)]
    rounds = train_params.model_copy(update={"max_length": 20, "batch_size": 2, "accumulation": 1, "rounds": 2})
    assert row_shape(encoded, rounds, 1) == {
        "rows": 4,  # 12 + 4, 12 and 10 + 8, 8
        "row_tokens_max": 18,
        "padding_share_packed": round(1 - 54 / (2 * 16 + 2 * 18), 6),
        "padding_share_unpacked": round(1 - 54 / (3 * 12 + 3 * 28 / 3), 6),
        "predicted_steps": 4,
    }
    one = rounds.model_copy(update={"rounds": 1})
    assert row_shape(encoded, one, 1)["rows"] == 3  # 12 + 8, 12 + 8, 10 + 4


def test_processes_share_the_steps(train_params: TrainParams) -> None:
    encoded = [EncodedRecord([7] * 16, [7] * 16)] * 9
    train = train_params.model_copy(update={"max_length": 16, "batch_size": 2, "accumulation": 2, "epochs": 2.0})
    assert [row_shape(encoded, train, count)["predicted_steps"] for count in (1, 2, 3)] == [6, 4, 2]


@settings(max_examples=50)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=7), st.integers(1, 9))
def test_padding_is_the_mean_over_all_batches(lengths: list[int], batch_size: int) -> None:
    batches = list(combinations(lengths, min(batch_size, len(lengths))))
    padded = numpy.mean([max(batch) for batch in batches])
    assert padding_share([lengths], batch_size) == pytest.approx(1 - numpy.mean(lengths) / padded, abs=1e-6)


def test_rounds_are_padded_on_their_own() -> None:
    assert padding_share([[10, 10, 4], [8]], batch_size=4) == round(1 - 32 / (3 * 10 + 8), 6)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=30), st.integers(16, 200))
def test_the_histogram_counts_every_record_once(lengths: list[int], max_length: int) -> None:
    *whole, truncated = length_histogram(numpy.array(lengths), max_length)
    assert (truncated["records"], truncated["kept"]) == (sum(length > max_length for length in lengths), "cut off")
    assert truncated["tokens"] == max_length
    kept = [length for length in lengths if length <= max_length]
    expected = [sum(low["tokens"] <= length < high["tokens"] for length in kept) for low, high in pairwise(whole)]
    assert [bar["records"] for bar in whole[:-1]] == expected
    assert sum(bar["records"] for bar in whole) == len(kept)


def test_the_bins_are_the_same_for_any_data() -> None:
    short, long = (length_histogram(numpy.array(lengths), 256) for lengths in ([20, 90, 200], [40, 60, 256]))
    between = [[bar["tokens"] for bar in bars if 50 < bar["tokens"] < 200] for bars in (short, long)]
    assert between[0] == between[1] != []


def test_shares_of_a_batch_add_up() -> None:
    metrics = {"padding_share_packed": 0.0, "padding_share_unpacked": 0.5, "trained_token_share": 0.4}
    assert [(row["rows"], row["tokens"], row["share"]) for row in token_shares(metrics)] == [
        ("packed", "trained", 0.4),
        ("packed", "masked", 0.6),
        ("packed", "padding", 0.0),
        ("unpacked", "trained", 0.2),
        ("unpacked", "masked", 0.3),
        ("unpacked", "padding", 0.5),
    ]


def test_what_makes_sense_is_encoded_whole(
    tokenizer: Any, splits: Any, lengths: tuple[int, int, int], train_params: TrainParams
) -> None:
    train = train_params.model_copy(update={"max_length": lengths[0] + lengths[1]})
    encoded = check_prompts(tokenizer, splits, LIMITS, train)
    assert encoded == {path: [encode_record(tokenizer, one) for one in records] for path, records in splits.items()}


def test_too_many_truncated_records_are_refused(
    tokenizer: Any, splits: Any, lengths: tuple[int, int, int], train_params: TrainParams
) -> None:
    prompt, short, long = lengths
    train = train_params.model_copy(update={"max_length": prompt + short})
    assert refused(tokenizer, splits, train, share=0.24) == [
        f"25.00% of the training records are longer than train.max_length ({prompt + short} tokens), more than "
        f"audit.max_truncated_share (24.00%) allows: raise train.max_length to {prompt + long}."
    ]
    longer = train.model_copy(update={"max_length": prompt + short - 1})
    [reason] = refused(tokenizer, splits, longer, share=0.25)
    assert reason.endswith(f"raise train.max_length to {prompt + short}.")


@pytest.mark.parametrize("path", [TRAIN, TEST])
def test_a_prompt_that_leaves_no_room_is_refused_in_every_split(
    tokenizer: Any, splits: Any, record: Any, template: Any, train_params: TrainParams, path: str
) -> None:
    long = record(template, "Lamp " * 40 + "Lamp", SHORT)
    tokens = len(encode_prompt(tokenizer, long["prompt"]))
    more = {**splits, path: [*splits[path], long]}
    train = train_params.model_copy(update={"max_length": tokens})
    assert refused(tokenizer, more, train) == [
        f"{path}:{len(more[path])}: the prompt alone fills train.max_length ({tokens} tokens): raise it above "
        f"{tokens}, the longest prompt, or shorten format.instruction and format.question."
    ]
    assert check_prompts(tokenizer, more, ANY, train.model_copy(update={"max_length": tokens + 1}))


def test_a_round_without_records_is_refused(tokenizer: Any, splits: Any, train_params: TrainParams) -> None:
    assert check_prompts(tokenizer, splits, ANY, train_params.model_copy(update={"rounds": 4}))
    reasons = refused(tokenizer, splits, train_params.model_copy(update={"rounds": 5}))
    assert reasons == ["train.rounds is 5, and there are 4 training records: lower it."]


def test_nothing_trained_is_refused(tokenizer: Any, splits: Any, train_params: TrainParams) -> None:
    reasons = refused(tokenizer, splits, train_params.model_copy(update={"max_length": 5}))
    assert reasons[0] == f"{TRAIN}: nothing is trained in 5 tokens a record: raise train.max_length."
    assert reasons[1].startswith(f"{TRAIN}:1 and 4 more: the prompt alone fills train.max_length")


@pytest.mark.parametrize("path", [TRAIN, TEST])
def test_an_empty_answer_is_refused(
    tokenizer: Any, splits: Any, record: Any, template: Any, train_params: TrainParams, path: str
) -> None:
    more = {**splits, path: [record(template, "Lamp", " "), *splits[path], record(template, "Lamp", "")]}
    assert refused(tokenizer, more, train_params) == [
        f"{path}:1 and 1 more: the completion is empty: raise data.min_content_chars."
    ]


@pytest.mark.parametrize("where", ["title", "answer"])
def test_the_text_of_a_special_token_is_refused(
    tokenizer: Any, splits: Any, record: Any, template: Any, train_params: TrainParams, where: str
) -> None:
    texts = {"title": "Lamp", "answer": SHORT} | {where: "A <|end_header_id|> lamp."}
    more = {**splits, TEST: [*splits[TEST], {"uid": "B7", **record(template, **texts)}]}
    assert refused(tokenizer, more, train_params) == [
        f"{TEST}:2: the text holds '<|end_header_id|>', which would become that special token: take it out of the raw "
        "record with uid B7, or out of format.instruction and format.question."
    ]


def test_a_split_without_records_is_refused(tokenizer: Any, splits: Any, train_params: TrainParams) -> None:
    reasons = refused(tokenizer, {**splits, TEST: []}, train_params)
    assert reasons == [f"{TEST}: no record there: raise sample.records."]


def test_a_pad_token_that_stops_is_refused(tokenizer: Any, splits: Any, train_params: TrainParams) -> None:
    stopping = deepcopy(tokenizer)
    stopping.pad_token = stopping.eos_token
    [reason] = refused(stopping, splits, train_params)
    assert reason.startswith("the pad token is a stop token")


BEGIN, STOP, X = 0, 5, IGNORE_INDEX  # the tiny tokenizer's
LABELS = {
    "none": (EncodedRecord([701, 700, STOP], [X, 700, STOP]), "not one begin-of-text token in front"),
    "two": (EncodedRecord([BEGIN, BEGIN, 700, STOP], [X, X, 700, STOP]), "not one begin-of-text token in front"),
    "unstopped": (EncodedRecord([BEGIN, 700, STOP], [X, 700, X]), "the template's end-of-turn token is not trained"),
    "unmasked": (
        EncodedRecord([BEGIN, 700, STOP], [BEGIN, 700, STOP]),
        "every token is trained, none masked as the prompt",
    ),
}


@pytest.mark.parametrize("fault", LABELS)
def test_begin_and_stop_tokens_and_labels_are_looked_at(chat_tokenizer: Any, fault: str) -> None:
    assert (chat_tokenizer.bos_token_id, chat_tokenizer.eos_token_id) == (BEGIN, STOP)
    fine, (wrong, sentence) = EncodedRecord([BEGIN, 701, 700, STOP], [X, X, 700, STOP]), LABELS[fault]
    assert label_faults(chat_tokenizer, {TRAIN: [fine], TEST: [fine]}, 64) == []
    [reason] = label_faults(chat_tokenizer, {TRAIN: [fine], TEST: [fine, wrong, wrong]}, 64)
    assert reason.startswith(f"{TEST}:2 and 1 more: {sentence}")


def test_a_template_that_begins_each_turn_with_that_token_is_fine(chat_tokenizer: Any) -> None:
    turns = EncodedRecord([BEGIN, 701, BEGIN, 700, STOP], [X, X, X, 700, STOP])
    assert label_faults(chat_tokenizer, {TRAIN: [turns]}, 64) == []


CHAT_FAULTS = {
    "two begin tokens": ("{{- bos_token -}}", "{{- bos_token + bos_token -}}", "not one begin-of-text token in front"),
    "no stop token": (
        "+ message['content'] | trim + '<|eot_id|>'",
        "+ message['content'] | trim",
        "the template's end-of-turn token is not trained",
    ),
}


@pytest.mark.parametrize("fault", CHAT_FAULTS)
def test_a_faulty_chat_template_is_refused(
    chat_tokenizer: Any, record: Any, train_params: TrainParams, fault: str
) -> None:
    before, after, sentence = CHAT_FAULTS[fault]
    faulty = deepcopy(chat_tokenizer)
    assert before in faulty.chat_template
    faulty.chat_template = faulty.chat_template.replace(before, after)
    records = {TRAIN: [record("chat", "Lamp", SHORT)], TEST: [record("chat", "Hose", SHORT)]}
    [reason] = refused(faulty, records, train_params)
    assert reason.startswith(f"{TRAIN}:1 and 1 more: {sentence}")


def test_a_template_that_cannot_render_is_refused_with_what_else_is_wrong(
    chat_tokenizer: Any, record: Any, train_params: TrainParams
) -> None:
    strict = deepcopy(chat_tokenizer)
    system = "{%- if messages[0]['role'] == 'system' -%}{{ raise_exception('no system turn') }}{%- endif -%}"
    strict.chat_template = system + strict.chat_template
    reasons = refused(strict, {TRAIN: [record("chat", "Lamp", "")]}, train_params)
    assert reasons[0] == f"{TRAIN}:1: the completion is empty: raise data.min_content_chars."
    assert reasons[1].startswith("the base model's chat template refuses the prompt (no system turn): set format.")


def test_all_reasons_are_given_at_once(chat_tokenizer: Any, record: Any, train_params: TrainParams) -> None:
    faulty = deepcopy(chat_tokenizer)
    faulty.chat_template = faulty.chat_template.replace("{{- bos_token -}}", "{{- bos_token + bos_token -}}")
    faulty.pad_token = faulty.eos_token
    records = {TRAIN: [record("chat", "Lamp", ""), record("chat", "<|eot_id|>", LONG)]}
    reasons = refused(faulty, records, train_params.model_copy(update={"max_length": 16}), share=0.5)
    parts = ["pad token", "empty", "text holds", "begin-of-text", "nothing is trained", "prompt alone", "100.00%"]
    assert [part for part, reason in zip(parts, reasons, strict=True) if part not in reason] == []


def test_the_first_place_is_found_again() -> None:
    files = {"a:b.jsonl": [{"x": 1}], "c.jsonl": [{"x": 2}, {"x": 3}]}
    found = find_places(files, lambda one: one["x"] == 3)
    assert (found, first_record(files, found)) == (["c.jsonl:2"], {"x": 3})
