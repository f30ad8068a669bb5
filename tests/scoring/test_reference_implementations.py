"""Every score equals its reference implementation on 500 texts; where there is none, its definition spelt out."""

import math
from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest
import sacrebleu
from rouge_score import rouge_scorer

from src.scoring.overlap import overlap_scores
from src.scoring.scores import SCORES, SystemAnswers
from tests.scoring.rows import generation

WORDS = ["A", "lamp", "of", "brass,", "the", "30", "cm", "tall.", "blue-green", "Kerr's", "café", "(new)", "desk", "x"]
CORPUS: dict[str, Any] = {
    "bleu": sacrebleu.corpus_bleu,
    "chrf": sacrebleu.corpus_chrf,
    "chrf_plus_plus": lambda answers, references: sacrebleu.corpus_chrf(answers, references, word_order=2),
}


def draw_texts() -> tuple[list[str], list[str]]:
    """500 references, and answers with a third of their words exchanged: some cut off, some empty, some repeated."""
    random = Random(11)
    references = [" ".join(random.choices(WORDS, k=random.randint(1, 60))) for _ in range(500)]
    kept = (text.split()[: random.randint(0, 80)] for text in references)
    answers = [" ".join(word if random.random() < 0.67 else random.choice(WORDS) for word in words) for words in kept]
    return [f"{text} {text}" if number % 25 == 0 else text for number, text in enumerate(answers)], references


ANSWERS, REFERENCES = draw_texts()
SYSTEM = SystemAnswers(
    ANSWERS,
    REFERENCES,
    REFERENCES[:50],
    [
        generation(
            reference=text,
            loss=number / 7,
            loss_tokens=number % 40 + 1,
            finish_reason="stop" if number % 9 else "length",
        )
        for number, text in enumerate(REFERENCES)
    ],
)
TRAINING = [text.lower().split() for text in SYSTEM.contents]
SPLIT = [answer.lower().split() for answer in ANSWERS]


def ngrams(words: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]


@pytest.mark.parametrize("name", CORPUS)
def test_corpus_scores_are_sacrebleu_s(name: str) -> None:
    expected = CORPUS[name](ANSWERS, [REFERENCES]).score
    assert SYSTEM.overlap.corpus[name] == expected
    assert SYSTEM.overlap.sums[name].estimate == pytest.approx(expected)


@pytest.mark.parametrize(("name", "order"), [("chrf", 0), ("chrf_plus_plus", 2)])
def test_signatures_are_those_that_sacrebleu_prints(name: str, order: int) -> None:
    scorer = sacrebleu.CHRF(word_order=order)
    scorer.corpus_score(ANSWERS, [REFERENCES])
    assert SYSTEM.overlap.signatures[name] == str(scorer.get_signature())


@pytest.mark.parametrize("name", ["rouge1", "rouge2", "rougeL"])
def test_rouge_is_rouge_score_s(name: str) -> None:
    scorer = rouge_scorer.RougeScorer([name], use_stemmer=False)
    expected = [100 * scorer.score(*pair)[name].fmeasure for pair in zip(REFERENCES, ANSWERS, strict=True)]
    sums = SYSTEM.overlap.sums[name]
    assert sums.terms[0].tolist() == pytest.approx(expected, abs=1e-12)
    assert SYSTEM.overlap.corpus[name] == pytest.approx(np.mean(expected), abs=1e-12)


def test_chrf_of_records_is_sacrebleu_s() -> None:
    expected = [sacrebleu.sentence_chrf(answer, [text]).score for answer, text in zip(ANSWERS, REFERENCES, strict=True)]
    assert overlap_scores(ANSWERS, REFERENCES).sums["chrf_sentence"].terms[0].tolist() == expected


def nats() -> float:
    return sum(number / 7 for number in range(500))


def repeated() -> int:
    return sum(count - 1 for words in SPLIT for count in Counter(ngrams(words, 4)).values())


def longest_run(words: list[str]) -> int:
    """By the words in a row that a training text has, tried from the longest down."""
    texts = [f" {' '.join(text)} " for text in TRAINING]
    runs = (" ".join(run) for size in range(len(words), 0, -1) for run in ngrams(words, size))
    return next((len(run.split()) for run in runs if any(f" {run} " in text for text in texts)), 0)


BY_DEFINITION = {
    "answer_loss": lambda: nats() / sum(number % 40 + 1 for number in range(500)),
    "perplexity": lambda: math.exp(nats() / sum(number % 40 + 1 for number in range(500))),
    "bits_per_byte": lambda: math.log2(math.e) * nats() / len("".join(REFERENCES).encode("utf-8")),
    "stop_rate": lambda: 1 - 56 / 500,
    "empty_answers": lambda: SPLIT.count([]) / 500,
    "distinct_1": lambda: len({word for words in SPLIT for word in words}) / sum(map(len, SPLIT)),
    "distinct_2": lambda: (
        len({pair for words in SPLIT for pair in ngrams(words, 2)}) / sum(max(len(words) - 1, 0) for words in SPLIT)
    ),
    "repetition": lambda: repeated() / sum(max(len(words) - 3, 0) for words in SPLIT),
    "length_ratio": lambda: sum(map(len, SPLIT)) / len(" ".join(REFERENCES).split()),
    "verbatim_copy_rate": lambda: sum(words in TRAINING for words in SPLIT) / 500,
    "verbatim_run": lambda: sum(map(longest_run, SPLIT)) / 500,
    "longest_verbatim_run": lambda: max(map(longest_run, SPLIT)),
}


@pytest.mark.parametrize("name", BY_DEFINITION)
def test_other_scores_are_what_their_definition_gives(name: str) -> None:
    score = next(score for score in SCORES if score.name == name)
    assert score.compute
    assert score.compute(SYSTEM) == pytest.approx(BY_DEFINITION[name]())


def test_every_score_of_texts_is_compared() -> None:
    """Facts are in test_fact_counts.py and beside it, BERTScore in tests/inference/test_bertscore.py."""
    compared = {*CORPUS, *BY_DEFINITION, "rouge1", "rouge2", "rougeL", "chrf_sentence"}
    elsewhere = {"facts_stated", "facts_wrong", "bertscore", "bertscore_precision", "bertscore_recall"}
    assert {score.name for score in SCORES} == compared | elsewhere
