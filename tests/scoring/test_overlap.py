"""BLEU, chrF and ROUGE: by hand, as their libraries compute them, and from the sums that are bootstrapped."""

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from src.scoring.intervals import RecordSums, resamples
from src.scoring.overlap import overlap_scores

ROOT = Path(__file__).parents[2]
ANSWERS = ["A brass lamp for the desk, 30 cm tall.", "The reader's café guide.", "", "Blue bag of canvas"]
REFERENCES = [
    "This brass lamp is 30 cm tall.",
    "A guide to cafés.",
    "A garden hose of 20 metres.",
    "A blue canvas bag.",
]

WORDS = ["lamp", "brass", "of", "the", "30", "cm", "tall", "blue-green", "Kerr's"]
sentences = st.lists(st.sampled_from(WORDS), min_size=4, max_size=12).map(" ".join)  # BLEU wants four words
answers = st.one_of(st.just(""), sentences, st.text(max_size=20))
law = settings(deadline=None, max_examples=40)


def values_of(sums: RecordSums) -> list[float]:
    """The score of each record by itself."""
    return sums.score(sums.terms).tolist()


def test_bleu_and_chrf_are_sacrebleu_s() -> None:
    scores = overlap_scores(ANSWERS, REFERENCES).corpus
    assert scores["bleu"] == pytest.approx(sacrebleu.corpus_bleu(ANSWERS, [REFERENCES]).score)
    assert scores["chrf"] == pytest.approx(sacrebleu.corpus_chrf(ANSWERS, [REFERENCES]).score)


def test_scores_of_records_are_the_libraries() -> None:
    records = {name: values_of(sums) for name, sums in overlap_scores(ANSWERS, REFERENCES).sums.items()}
    scorer = rouge_scorer.RougeScorer(["rougeL"])
    pairs = list(zip(ANSWERS, REFERENCES, strict=True))
    assert records["rougeL"] == pytest.approx([100 * scorer.score(r, a)["rougeL"].fmeasure for a, r in pairs])
    assert records["chrf_sentence"] == pytest.approx([sacrebleu.sentence_chrf(a, [r]).score for a, r in pairs])


def test_rouge_by_hand() -> None:
    # 3 of 4 words shared, 1 of 3 pairs ("a b"), longest common subsequence "a b d"
    scores = overlap_scores(["a b d x"], ["a b c d"]).corpus
    assert scores["rouge1"] == pytest.approx(75)
    assert scores["rouge2"] == pytest.approx(100 / 3)
    assert scores["rougeL"] == pytest.approx(75)


def test_rouge_does_not_stem() -> None:
    assert overlap_scores(["lamps"], ["lamp"]).corpus["rouge1"] == 0


def test_bleu_by_hand() -> None:
    # precisions 4/5, 3/4, 2/3, 1/2 and no brevity penalty
    assert overlap_scores(["a b c d x"], ["a b c d e"]).corpus["bleu"] == pytest.approx(
        100 * (4 * 3 * 2 * 1 / 120) ** 0.25
    )


def test_empty_answers_score_zero() -> None:
    scores = overlap_scores(["", ""], ["A lamp.", "A bag."])
    assert set(scores.corpus.values()) == {0.0}


@law
@given(st.lists(sentences, min_size=1, max_size=5))
def test_the_reference_itself_scores_100(references: list[str]) -> None:
    assert all(score == pytest.approx(100) for score in overlap_scores(references, references).corpus.values())


@law
@given(st.lists(st.tuples(answers, sentences), min_size=1, max_size=5))
def test_scores_lie_between_0_and_100(pairs: list[tuple[str, str]]) -> None:
    scores = overlap_scores(*map(list, zip(*pairs, strict=True)))
    values = [*scores.corpus.values(), *(score for sums in scores.sums.values() for score in values_of(sums))]
    assert all(math.isfinite(score) and 0 <= score <= 100 + 1e-9 for score in values)


@law
@given(st.lists(st.tuples(answers, sentences), min_size=2, max_size=5), st.randoms())
def test_the_order_of_records_does_not_matter(pairs: list[tuple[str, str]], random: Random) -> None:
    shuffled = random.sample(pairs, len(pairs))
    one, other = (overlap_scores(*map(list, zip(*order, strict=True))).corpus for order in (pairs, shuffled))
    assert one == pytest.approx(other)


@law
@given(st.lists(st.tuples(answers, sentences), min_size=1, max_size=5))
def test_every_score_follows_from_its_sums(pairs: list[tuple[str, str]]) -> None:
    scores = overlap_scores(*map(list, zip(*pairs, strict=True)))
    for name, score in scores.corpus.items():
        sums = scores.sums[name]
        assert float(sums.score(sums.terms.sum(axis=1))) == pytest.approx(score)


@pytest.mark.parametrize(("name", "corpus"), [("bleu", sacrebleu.corpus_bleu), ("chrf", sacrebleu.corpus_chrf)])
def test_resampled_corpus_scores_are_those_of_the_texts_themselves(
    name: str, corpus: Callable[..., sacrebleu.metrics.base.Score]
) -> None:
    """The texts that were drawn are scored again by sacrebleu's public functions."""
    draw = Random(4)
    references = [" ".join(draw.choices(WORDS, k=12)) for _ in range(20)]
    answers = [" ".join(word if draw.random() < 0.6 else "hose" for word in text.split()) for text in references]
    resampled = overlap_scores(answers, references).sums[name].resampled
    for counts, score in zip(resamples(20)[:50], resampled, strict=False):
        drawn = [place for place, count in enumerate(counts) for _ in range(count)]
        expected = corpus([answers[place] for place in drawn], [[references[place] for place in drawn]]).score
        assert score == pytest.approx(expected)


def test_scores_load_no_model_library_and_leave_it_to_be_loaded() -> None:
    code = (
        "import sys; from src.scoring.overlap import load_modules; load_modules(); "
        "print(sorted({'torch', 'transformers', 'evaluate'} & sys.modules.keys())); import transformers"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "['evaluate']\n"), done.stderr
