"""The audit's metrics on sets made by hand, and each of its reasons to refuse."""

from copy import deepcopy
from typing import Any

import pytest

from src.errors import UserError
from src.params import AuditParams, TrainParams
from src.prompts.audit import audit, ends, histogram, refuse, shape, tokens
from src.prompts.encoding import IGNORED, Encoded, encode_prompt

LIMITS = AuditParams(max_truncated_share=0.05)
FINE = {
    "truncated_share": 0.0,
    "nothing_trained_share": 0.0,
    "one_begin_token_share": 1.0,
    "trained_stop_token_share": 1.0,
    "tokens_p90": 77,
}


def test_records_are_measured_as_they_will_be_trained(
    tokenizer: Any, template: Any, record: Any, train_params: TrainParams
) -> None:
    answers = ["Brass.", "Brass. " * 20 + "Brass."]
    short, long = (len(tokenizer.tokenize(f"{answer}<|eot_id|>")) for answer in answers)
    records = [record(template, "Lamp", answer) for answer in [answers[0]] * 3 + [answers[1]]]
    prompt = len(encode_prompt(tokenizer, records[0]))
    cut = train_params.model_copy(update={"max_length": prompt + short + 1, "packing": False})
    metrics, lengths = audit(tokenizer, records, cut)
    assert metrics["tokens_p50"] < metrics.pop("tokens_p90") < metrics.pop("tokens_p99") < metrics["tokens_max"]
    assert metrics == {
        "records": 4,
        "tokens_p50": prompt + short,
        "tokens_max": prompt + long,
        "truncated_share": 0.25,
        "tokens_per_epoch": 4 * (prompt + short) + 1,
        "trained_token_share": round((4 * short + 1) / (4 * (prompt + short) + 1), 6),
        "one_begin_token_share": 1.0,
        "trained_stop_token_share": 0.75,
        "nothing_trained_share": 0.0,
        "rows": 4,
        "row_fill_share": round((4 * (prompt + short) + 1) / (4 * cut.max_length), 6),
        "predicted_steps": 2,
    }
    assert sum(bar["records"] for bar in lengths) == 4


def test_begin_and_stop_tokens_are_counted(chat_tokenizer: Any) -> None:
    begin, stop, x = chat_tokenizer.bos_token_id, chat_tokenizer.eos_token_id, IGNORED
    encoded = [
        Encoded([begin, 700, stop], [x, 700, stop]),
        Encoded([begin, begin, 700], [x, x, 700]),
        Encoded([701, 700, stop], [x, x, stop]),
        Encoded([begin, stop, 700], [x, x, x]),
    ]
    assert ends(chat_tokenizer, encoded) == {
        "one_begin_token_share": 0.5,
        "trained_stop_token_share": 0.5,
        "nothing_trained_share": 0.25,
    }
    assert tokens(encoded) == {"tokens_per_epoch": 12, "trained_token_share": round(4 / 12, 6)}


def test_rows_fill_and_steps_are_those_of_packing(train_params: TrainParams) -> None:
    encoded = [Encoded([7] * length, [7] * length) for length in (12, 16, 4, 8)]
    packed = train_params.model_copy(update={"max_length": 20, "batch_size": 1, "accumulation": 2, "epochs": 3.0})
    assert shape(encoded, packed) == {"rows": 2, "row_fill_share": 1.0, "predicted_steps": 3}
    single = packed.model_copy(update={"packing": False})
    assert shape(encoded, single) == {"rows": 4, "row_fill_share": 0.5, "predicted_steps": 6}
    assert shape(encoded, packed.model_copy(update={"max_steps": 7}))["predicted_steps"] == 7


def test_the_histogram_counts_every_record() -> None:
    import numpy

    bars = histogram(numpy.array([10, 10, 11, 30, 50]))
    assert (bars[0], bars[-1]["records"]) == ({"tokens": 10, "records": 3}, 1)
    assert sum(bar["records"] for bar in bars) == 5


def test_what_makes_sense_is_not_refused(chat_tokenizer: Any) -> None:
    refuse(chat_tokenizer, FINE, LIMITS, max_length=64)


@pytest.mark.parametrize(("truncated", "records"), [(1, 43), (2, 86), (4, 107), (1, 20)])
def test_a_few_records_cut_off_are_not_refused(chat_tokenizer: Any, truncated: int, records: int) -> None:
    shares = {
        "truncated_share": round(truncated / records, 6),
        "trained_stop_token_share": round((records - truncated) / records, 6),
    }
    refuse(chat_tokenizer, FINE | shares, LIMITS, max_length=64)


REASONS = {
    "truncated": (
        {"truncated_share": 0.0501, "trained_stop_token_share": 0.9499},
        "5.0% of the records are longer than train.max_length (64 tokens), more than audit.max_truncated_share allows: "
        "raise train.max_length; 90% have up to 77 tokens.",
    ),
    "untrained": ({"nothing_trained_share": 0.06}, "6.0% of the records keep no token of their answer"),
    "begin": ({"one_begin_token_share": 0.999}, "some records do not begin with exactly one begin-of-text token"),
    "stop": ({"trained_stop_token_share": 0.99}, "the template's end-of-turn token is not trained"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_is_given(chat_tokenizer: Any, reason: str) -> None:
    metrics, sentence = REASONS[reason]
    with pytest.raises(UserError) as refused:
        refuse(chat_tokenizer, FINE | metrics, LIMITS, max_length=64)
    assert str(refused.value).startswith(sentence)
    assert len(str(refused.value).splitlines()) == 1


def test_a_pad_token_that_stops_is_refused_with_all_other_reasons(chat_tokenizer: Any) -> None:
    stopping = deepcopy(chat_tokenizer)
    stopping.pad_token = stopping.eos_token
    with pytest.raises(UserError, match="the pad token is a stop token"):
        refuse(stopping, FINE, LIMITS, max_length=64)
    wrong = {"truncated_share": 0.5, "nothing_trained_share": 0.5, "one_begin_token_share": 0.5}
    with pytest.raises(UserError) as refused:
        refuse(stopping, FINE | wrong | {"trained_stop_token_share": 0.1}, LIMITS, max_length=64)
    assert len(str(refused.value).splitlines()) == 5
