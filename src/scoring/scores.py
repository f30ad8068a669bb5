"""The table of scores: one row for each, from which metrics, plots, model card and intervals follow.

To add a score, add its row to SCORES.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

from src.scoring.fact_counts import (
    CountsByAttribute,
    FactSums,
    RecordFacts,
    add_counts,
    count_facts,
    stated_sums,
    wrong_sums,
)
from src.scoring.generations import Generation
from src.scoring.intervals import RecordSums
from src.scoring.likelihood import answer_loss, loss_sums, perplexity, stop_rate
from src.scoring.overlap import OverlapScores, overlap_scores
from src.scoring.style import distinct_ngrams, length_ratio, repetition_rate, verbatim_copy_rate

PERCENT, SHARE = "0 to 100", "share, 0 to 1"

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class SystemAnswers:
    """One system's answers and what they are scored against.

    Attributes:
        answers: one a held-out record.
        references: the held-out texts, in the same order.
        contents: those of the training records, to find copies.
        generations: where a model answered, its rows in the same order; else None, and nothing has a likelihood.
        facts: of the records, in the same order; None where no facts are counted.
    """

    answers: Sequence[str]
    references: Sequence[str]
    contents: Sequence[str]
    generations: Sequence[Generation] | None = None
    facts: Sequence[RecordFacts] | None = None

    @cached_property
    def overlap(self) -> OverlapScores:
        """BLEU, chrF and ROUGE, computed once for the many rows that read them."""
        return overlap_scores(self.answers, self.references)

    @cached_property
    def fact_counts(self) -> list[CountsByAttribute]:
        """What is counted in each answer, by attribute."""
        return count_facts(self.facts, self.answers) if self.facts else []


@dataclass(frozen=True)
class Score:
    """A row of the table.

    Attributes:
        name: its key in reports/evaluate.json.
        label: what a table or a plot calls it.
        unit: its unit, or its range.
        better: which way is better; None where neither is, or where that depends.
        meaning: what it tells a reader who has never seen it, in a sentence.
        compute: the score of one system, None where it has no meaning. A row without it gives differences alone.
        sums: what it is computed from, for an interval of its differences; None where the system has no such score.
            A row without it has no interval.
        matters: the smallest difference that would change a decision, in the score's unit; of rows with sums.
        interval: whether reports/evaluate.json holds the interval of each system's own score too; needs sums.
        headline: whether it is one of DVC's metrics, which a reviewer decides by, and in the stage's closing line.
        plotted: whether plots/evaluate/scores.tsv holds it.
        in_tables: whether the model card and the README hold it.
    """

    name: str
    label: str
    unit: str
    better: Literal["higher", "lower"] | None
    meaning: str = ""
    compute: Callable[[SystemAnswers], float | None] | None = None
    sums: Callable[[SystemAnswers], RecordSums | None] | None = None
    matters: float = 0.0
    interval: bool = False
    headline: bool = False
    plotted: bool = False
    in_tables: bool = False


def overlap_score(name: str) -> Callable[[SystemAnswers], float]:
    """Reads an overlap score of the corpus."""
    return lambda system: system.overlap.corpus[name]


def overlap_sums(name: str) -> Callable[[SystemAnswers], RecordSums]:
    """Reads what an overlap score is computed from."""
    return lambda system: system.overlap.sums[name]


def by_model(compute: Callable[[Sequence[Generation]], Value]) -> Callable[[SystemAnswers], Value | None]:
    """Computes from a model's generations what a system without a model does not have."""
    return lambda system: None if system.generations is None else compute(system.generations)


def fact_sums(sums: FactSums) -> Callable[[SystemAnswers], RecordSums | None]:
    """Reads what a score of facts is computed from, all attributes together."""
    return lambda system: sums([add_counts(counts) for counts in system.fact_counts])


def fact_score(sums: FactSums) -> Callable[[SystemAnswers], float | None]:
    """Computes a score of facts; None where there are none."""

    def compute(system: SystemAnswers) -> float | None:
        found = fact_sums(sums)(system)
        return found.estimate if found else None

    return compute


# In the order of reports/evaluate.json, which tables and plots share.
SCORES = (
    Score(
        name="facts_stated",
        label="facts of the title stated (%)",
        unit=PERCENT,
        meaning="Of the facts that the title gives, how many the answer repeats.",
        better="higher",
        compute=fact_score(stated_sums),
        sums=fact_sums(stated_sums),
        matters=1.0,
        interval=True,
        headline=True,
        plotted=True,
        in_tables=True,
    ),
    Score(
        name="facts_wrong",
        label="stated facts that are wrong (%)",
        unit=PERCENT,
        meaning="Of the facts that the answer gives, how many are not true of the product.",
        better="lower",
        compute=fact_score(wrong_sums),
        sums=fact_sums(wrong_sums),
        matters=1.0,
        interval=True,
        headline=True,
        plotted=True,
        in_tables=True,
    ),
    Score(
        name="bleu",
        label="BLEU",
        unit=PERCENT,
        meaning="Runs of one to four words that answer and reference text share; shortness costs points.",
        better="higher",
        compute=overlap_score("bleu"),
        sums=overlap_sums("bleu"),
        matters=1.0,
        interval=True,
        plotted=True,
        in_tables=True,
    ),
    Score(
        name="chrf",
        label="chrF",
        unit=PERCENT,
        meaning="Runs of one to six characters that answer and reference text share.",
        better="higher",
        compute=overlap_score("chrf"),
        sums=overlap_sums("chrf"),
        matters=1.0,
        interval=True,
        plotted=True,
        in_tables=True,
    ),
    Score(
        name="rouge1",
        label="ROUGE-1",
        unit=PERCENT,
        meaning="Single words that answer and reference text share.",
        better="higher",
        compute=overlap_score("rouge1"),
        in_tables=True,
    ),
    Score(
        name="rouge2",
        label="ROUGE-2",
        unit=PERCENT,
        meaning="Pairs of words in a row that answer and reference text share.",
        better="higher",
        compute=overlap_score("rouge2"),
        in_tables=True,
    ),
    Score(
        name="rougeL",
        label="ROUGE-L",
        unit=PERCENT,
        meaning="Words that answer and reference text share in the same order.",
        better="higher",
        compute=overlap_score("rougeL"),
        sums=overlap_sums("rougeL"),
        matters=1.0,
        interval=True,
        headline=True,
        plotted=True,
        in_tables=True,
    ),
    Score(
        name="chrf_sentence",
        label="chrF, mean over records",
        unit=PERCENT,
        meaning="The chrF of each record, averaged, so that short texts count as much as long ones.",
        better="higher",
        sums=overlap_sums("chrf_sentence"),
        matters=1.0,
    ),
    Score(
        name="answer_loss",
        label="answer loss (nats a token)",
        unit="nats a token",
        meaning="How much the reference text surprises the model, token by token; 0 would be no surprise.",
        better="lower",
        compute=by_model(answer_loss),
        sums=by_model(loss_sums),
        matters=0.01,
        in_tables=True,
    ),
    Score(
        name="perplexity",
        label="perplexity",
        unit="1 up",
        meaning="The same as the loss, as a number of equally likely tokens to choose from; 1 would be certainty.",
        better="lower",
        compute=by_model(perplexity),
        in_tables=True,
    ),
    Score(
        name="stop_rate",
        label="answers ended by themselves",
        unit=SHARE,
        meaning="Answers that came to an end before the length limit cut them off.",
        better="higher",
        compute=by_model(stop_rate),
    ),
    Score(
        name="distinct_1",
        label="distinct words",
        unit=SHARE,
        meaning="Different words among all words of all answers: how varied they are.",
        better="higher",
        compute=lambda system: distinct_ngrams(system.answers, 1),
    ),
    Score(
        name="distinct_2",
        label="distinct word pairs",
        unit=SHARE,
        meaning="Different word pairs among all pairs of all answers: how varied they are.",
        better="higher",
        compute=lambda system: distinct_ngrams(system.answers, 2),
    ),
    Score(
        name="repetition",
        label="repetition",
        unit=SHARE,
        meaning="Runs of four words that an answer has used before.",
        better="lower",
        compute=lambda system: repetition_rate(system.answers),
    ),
    Score(
        name="length_ratio",
        label="length of the answers to that of the references",
        unit="ratio, 0 up",
        meaning="Words of the answers for each word of the reference texts; 1 is the same length.",
        better=None,  # 1 is best
        compute=lambda system: length_ratio(system.answers, system.references),
    ),
    Score(
        name="verbatim_copy_rate",
        label="copies of a training text",
        unit=SHARE,
        meaning="Answers that are a training text word for word.",
        better="lower",
        compute=lambda system: verbatim_copy_rate(system.answers, system.contents),
    ),
)
