"""BLEU and chrF of summed counts are sacrebleu's, for any counts."""

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from src.scoring.summed_counts import bleu_of_counts, chrf_of_counts

words = st.lists(st.sampled_from(["lamp", "brass", "of", "the", "30"]), max_size=9).map(" ".join)
BLEU, CHRF = sacrebleu.BLEU(force=True), sacrebleu.CHRF()


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=4))
def test_corpus_scores_are_sacrebleu_s(pairs: list[tuple[str, str]]) -> None:
    answers, references = map(list, zip(*pairs, strict=True))
    for scorer, score_counts in ((BLEU, bleu_of_counts), (CHRF, chrf_of_counts)):
        counts = np.array(scorer._extract_corpus_statistics(answers, [references]), dtype=float).sum(axis=0)
        assert float(score_counts(counts)) == pytest.approx(scorer.corpus_score(answers, [references]).score)


def test_many_corpora_are_scored_as_each_alone() -> None:
    counts = np.random.default_rng(0).integers(0, 3, size=(10, 50)).cumsum(axis=0).astype(float)[::-1]
    together = bleu_of_counts(counts)
    assert together.tolist() == [float(bleu_of_counts(one)) for one in counts.T]


def test_the_first_order_without_a_match_counts_half_and_the_next_a_quarter() -> None:
    # 2 of 5 words, 1 of 4 pairs, none of 3 and none of 2
    counts = np.array([5, 5, 2, 1, 0, 0, 5, 4, 3, 2], dtype=float)
    expected = 100 * (2 / 5 * 1 / 4 * (0.5 / 3) * (0.25 / 2)) ** 0.25
    assert float(bleu_of_counts(counts)) == pytest.approx(expected)
