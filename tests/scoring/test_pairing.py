"""Pairing: models that answered other records, or with another tokenizer, are not compared."""

import pytest

from src.errors import UserError
from src.scoring.pairing import check_paired, records_digest
from tests.scoring.rows import generation


def test_pairs_may_differ_in_answer_and_loss_alone() -> None:
    check_paired(
        {"base": [generation()], "tuned": [generation(answer="A lamp.", loss=1.0, tokens=3, finish_reason="length")]}
    )


@pytest.mark.parametrize("field", ["uid", "title", "reference"])
def test_the_first_line_that_differs_is_named(field: str) -> None:
    base, tuned = [generation(), generation()], [generation(), generation(**{field: "another"})]
    with pytest.raises(UserError, match=f"Line 2 of the generations: {field} is .* 'another' for tuned"):
        check_paired({"base": base, "tuned": tuned})


def test_another_tokenizer_is_no_pair() -> None:
    with pytest.raises(UserError, match="loss_tokens is 4 for base and 5 for tuned"):
        check_paired({"base": [generation()], "tuned": [generation(loss_tokens=5)]})


def test_another_number_of_answers_is_no_pair() -> None:
    with pytest.raises(UserError, match="Base answered 1 records and tuned 2"):
        check_paired({"base": [generation()], "tuned": [generation(), generation()]})


def test_every_model_is_compared_with_the_first() -> None:
    with pytest.raises(UserError, match="title is 'A lamp' for base and 'A bag' for few_shot"):
        check_paired({"base": [generation()], "tuned": [generation()], "few_shot": [generation(title="A bag")]})


def test_a_single_model_is_paired() -> None:
    check_paired({"tuned": [generation()]})


def test_the_digest_is_that_of_the_records_and_not_of_the_answers() -> None:
    first, second = generation(), generation(uid="2")
    digest = records_digest([first, second])
    assert records_digest([generation(answer="A lamp.", loss=1.0), second]) == digest
    others = ([second, first], [first], [first, generation(uid="3")], [generation(reference="another"), second])
    assert digest not in map(records_digest, others)
    assert len(digest) == 8
