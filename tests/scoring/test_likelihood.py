"""The loss and the perplexity of references: means over tokens, and sums that give them again."""

import math

import pytest

from src.scoring.likelihood import byte_sums, loss_sums, perplexity, stop_sums
from tests.scoring.rows import generation


def test_loss_is_a_mean_over_tokens_not_over_records() -> None:
    generations = [generation(loss=6.0, loss_tokens=4), generation(loss=0.0, loss_tokens=2, finish_reason="length")]
    sums = loss_sums(generations)
    assert sums
    assert sums.estimate == 1.0
    assert perplexity(generations) == math.e
    assert stop_sums(generations).estimate == 0.5


def test_a_perplexity_beyond_floats_is_none() -> None:
    assert perplexity([generation(loss=4000.0)]) is None


def test_bits_are_counted_on_the_bytes_of_utf_8() -> None:
    # 6 and 2 nats, 16 bytes and 5: the é has two.
    sums = byte_sums([generation(loss=6.0), generation(loss=2.0, reference="café")])
    assert sums
    assert sums.estimate == pytest.approx(8 / math.log(2) / 21)


def test_bits_a_byte_do_not_depend_on_the_tokenizer() -> None:
    """Of two models that find a reference equally likely, the one with fewer tokens has the larger loss a token."""
    coarse, fine = [generation(loss=6.0, loss_tokens=2)], [generation(loss=6.0, loss_tokens=12)]
    losses, bits = ([sums(rows) for rows in (coarse, fine)] for sums in (loss_sums, byte_sums))
    assert [found.estimate for found in losses if found] == [3.0, 0.5]
    assert len({found.estimate for found in bits if found}) == 1


def test_references_without_a_byte_have_no_bits_a_byte() -> None:
    assert byte_sums([generation(reference="")]) is None


def test_a_model_that_tells_no_likelihood_has_none() -> None:
    silent = [generation(), generation(loss=None, loss_tokens=None)]
    assert (loss_sums(silent), byte_sums(silent), perplexity(silent)) == (None, None, None)
