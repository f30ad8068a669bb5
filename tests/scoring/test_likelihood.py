"""The loss and the perplexity of references: means over tokens, and sums that give them again."""

import math

from src.scoring.likelihood import answer_loss, loss_sums, perplexity, stop_rate
from tests.scoring.rows import generation


def test_loss_is_a_mean_over_tokens_not_over_records() -> None:
    generations = [generation(loss=6.0, loss_tokens=4), generation(loss=0.0, loss_tokens=2, finish_reason="length")]
    assert answer_loss(generations) == 1.0
    assert perplexity(generations) == math.e
    assert stop_rate(generations) == 0.5


def test_a_perplexity_beyond_floats_is_none() -> None:
    assert perplexity([generation(loss=4000.0)]) is None


def test_the_sums_of_the_loss_give_the_loss() -> None:
    sums = loss_sums([generation(loss=6.0, loss_tokens=4), generation(loss=0.0, loss_tokens=2)])
    assert sums
    assert sums.score(sums.terms.sum(axis=1)) == 1.0


def test_a_model_that_tells_no_likelihood_has_none() -> None:
    silent = [generation(), generation(loss=None, loss_tokens=None)]
    assert (answer_loss(silent), perplexity(silent), loss_sums(silent)) == (None, None, None)
