"""The table of scores: one row for each, from which metrics, plots, model card and intervals follow.

To add a score, add its row to SCORES.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar
from weakref import WeakKeyDictionary

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
from src.scoring.intervals import RecordSums, mean_of
from src.scoring.likelihood import byte_sums, loss_sums, perplexity, stop_sums
from src.scoring.overlap import OverlapScores, overlap_scores
from src.scoring.style import copy_sums, distinct_ngrams, empty_sums, length_sums, repetition_sums
from src.scoring.verbatim_runs import longest_runs

PERCENT, SHARE, WORDS = "0 to 100", "share, 0 to 1", "words"
SIMILARITY = "cosine, up to 1"

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
        titles: of the records, in the same order; None where there are none to explain a copy.
        bert_scores: BERTScore's precision, recall and F1 of each answer; None where it is off.
    """

    answers: Sequence[str]
    references: Sequence[str]
    contents: Sequence[str]
    generations: Sequence[Generation] | None = None
    facts: Sequence[RecordFacts] | None = None
    titles: Sequence[str] | None = None
    bert_scores: Sequence[Sequence[float]] | None = None

    @cached_property
    def overlap(self) -> OverlapScores:
        """BLEU, chrF and ROUGE, computed once for the many rows that read them."""
        return overlap_scores(self.answers, self.references)

    @cached_property
    def fact_counts(self) -> list[CountsByAttribute]:
        """What is counted in each answer, by attribute."""
        return count_facts(self.facts, self.answers) if self.facts else []

    @cached_property
    def verbatim_runs(self) -> list[int]:
        """The words of each answer's longest run that stands in a training text."""
        return longest_runs(self.answers, self.titles or [""] * len(self.answers), self.contents)


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
        sums: what it is computed from, for intervals and p-values; None where the system has no such score. A row
            without it has none.
        matters: the smallest difference that would change a decision, in the score's unit; of rows with sums.
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


def bert_sums(position: int) -> Callable[[SystemAnswers], RecordSums | None]:
    """Reads BERTScore's precision (0), recall (1) or F1 (2), where it is on."""
    return lambda system: mean_of([scores[position] for scores in system.bert_scores]) if system.bert_scores else None


def summed_score(sums: Callable[[SystemAnswers], RecordSums | None], **row: Any) -> Score:
    """A row of the table whose score is that of sums over records; they are computed once a system.

    Args:
        sums: what the score of a system is computed from; None where it has no such score.
        row: the row's other attributes.
    """
    known: WeakKeyDictionary[SystemAnswers, RecordSums | None] = WeakKeyDictionary()

    def sums_once(system: SystemAnswers) -> RecordSums | None:
        if system not in known:
            known[system] = sums(system)
        return known[system]

    def compute(system: SystemAnswers) -> float | None:
        return found.estimate if (found := sums_once(system)) else None

    return Score(compute=compute, sums=sums_once, **row)


# In the order of reports/evaluate.json, which tables and plots share.
SCORES = (
    summed_score(
        name="facts_stated",
        label="facts of the title stated (%)",
        unit=PERCENT,
        meaning="Of the facts that the title gives, how many the answer repeats.",
        better="higher",
        sums=fact_sums(stated_sums),
        matters=1.0,
        headline=True,
        plotted=True,
        in_tables=True,
    ),
    summed_score(
        name="facts_wrong",
        label="stated facts that are wrong (%)",
        unit=PERCENT,
        meaning="Of the facts that the answer gives, how many are not true of the product.",
        better="lower",
        sums=fact_sums(wrong_sums),
        matters=1.0,
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
        plotted=True,
        in_tables=True,
    ),
    Score(
        name="chrf_plus_plus",
        label="chrF++",
        unit=PERCENT,
        meaning="Runs of characters, and of one and two words, that answer and reference text share.",
        better="higher",
        compute=overlap_score("chrf_plus_plus"),
        sums=overlap_sums("chrf_plus_plus"),
        matters=1.0,
        in_tables=True,
    ),
    Score(
        name="rouge1",
        label="ROUGE-1",
        unit=PERCENT,
        meaning="Single words that answer and reference text share.",
        better="higher",
        compute=overlap_score("rouge1"),
        sums=overlap_sums("rouge1"),
        matters=1.0,
        in_tables=True,
    ),
    Score(
        name="rouge2",
        label="ROUGE-2",
        unit=PERCENT,
        meaning="Pairs of words in a row that answer and reference text share.",
        better="higher",
        compute=overlap_score("rouge2"),
        sums=overlap_sums("rouge2"),
        matters=1.0,
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
    summed_score(
        name="bertscore_precision",
        label="BERTScore, precision",
        unit=SIMILARITY,
        meaning="How near in meaning the answer's words are to words of the reference text.",
        better="higher",
        sums=bert_sums(0),
        matters=0.005,
    ),
    summed_score(
        name="bertscore_recall",
        label="BERTScore, recall",
        unit=SIMILARITY,
        meaning="How near in meaning the reference text's words are to words of the answer.",
        better="higher",
        sums=bert_sums(1),
        matters=0.005,
    ),
    summed_score(
        name="bertscore",
        label="BERTScore (F1)",
        unit=SIMILARITY,
        meaning="How near in meaning answer and reference text are, word by word.",
        better="higher",
        sums=bert_sums(2),
        matters=0.005,
    ),
    summed_score(
        name="answer_loss",
        label="answer loss (nats a token)",
        unit="nats a token",
        meaning="How much the reference text surprises the model, token by token; 0 would be no surprise.",
        better="lower",
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
    summed_score(
        name="bits_per_byte",
        label="bits a byte of the reference",
        unit="bits a byte",
        meaning="How much the reference text surprises the model, by byte; compares across tokenizers.",
        better="lower",
        sums=by_model(byte_sums),
        matters=0.005,
        in_tables=True,
    ),
    summed_score(
        name="stop_rate",
        label="answers ended by themselves",
        unit=SHARE,
        meaning="Answers that came to an end before the length limit cut them off.",
        better="higher",
        sums=by_model(stop_sums),
        matters=0.02,
    ),
    summed_score(
        name="empty_answers",
        label="empty answers",
        unit=SHARE,
        meaning="Answers without a word.",
        better="lower",
        sums=lambda system: empty_sums(system.answers),
        matters=0.01,
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
    summed_score(
        name="repetition",
        label="repetition",
        unit=SHARE,
        meaning="Runs of four words that an answer has used before.",
        better="lower",
        sums=lambda system: repetition_sums(system.answers),
        matters=0.01,
    ),
    summed_score(
        name="length_ratio",
        label="length of the answers to that of the references",
        unit="ratio, 0 up",
        meaning="Words of the answers for each word of the reference texts; 1 is the same length.",
        better=None,  # 1 is best
        sums=lambda system: length_sums(system.answers, system.references),
        matters=0.05,
    ),
    summed_score(
        name="verbatim_copy_rate",
        label="copies of a training text",
        unit=SHARE,
        meaning="Answers that are a training text word for word.",
        better="lower",
        sums=lambda system: copy_sums(system.answers, system.contents),
        matters=0.01,
    ),
    summed_score(
        name="verbatim_run",
        label="words in a row from a training text, mean over answers",
        unit=WORDS,
        meaning="The longest run of words that an answer copies from a training text, averaged.",
        better="lower",
        sums=lambda system: mean_of(system.verbatim_runs),
        matters=1.0,
    ),
    Score(
        name="longest_verbatim_run",
        label="words in a row from a training text, longest",
        unit=WORDS,
        meaning="The longest run of words that any answer copies from a training text.",
        better="lower",
        compute=lambda system: max(system.verbatim_runs),
    ),
)
