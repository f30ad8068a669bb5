"""Measures how long an evaluation takes to score: every score, interval and p-value of four systems.

Covers made-up texts as long as published ones of a shop, base, tuned and few-shot answers and a nearest-title copy,
and, apart, the search for copied runs of words in many training texts. No model answers and BERTScore is off: their
times are those of the models.

    python -m benchmarks.evaluation_scoring
"""

import json
import resource
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

from src.scoring.comparisons import compare_pairs
from src.scoring.generations import Generation
from src.scoring.nearest import nearest_titles
from src.scoring.report import score_report
from src.scoring.scores import SystemAnswers
from src.scoring.systems import TUNED
from src.scoring.title_facts import CapitalUse, TitleFacts
from src.scoring.verbatim_runs import longest_runs

RECORDS, TRAINING = 1000, 2000
MANY_TRAINING = 100_000  # texts that are searched for runs; a million take ten times as long
TITLE_WORDS, CONTENT_WORDS = 8, 100  # as many as 600 characters have
VOCABULARY = 20_000
KEPT = {"base": 0.2, TUNED: 0.6, "few_shot": 0.4}  # the share of a reference's words that an answer has in its place

Result = TypeVar("Result")


def main() -> None:
    """Prints what was measured."""
    print(json.dumps(measure_scoring(), indent=2))


def measure_scoring(records: int = RECORDS, training: int = TRAINING, searched: int = MANY_TRAINING) -> dict[str, Any]:
    """Seconds that scoring takes, by part, and in all.

    Args:
        records: held-out ones that four systems have answered.
        training: training records, which are searched for the nearest title and for copies.
        searched: training texts that one system's answers are searched in for copied runs, apart.
    """
    random, parts = Random(7), dict[str, float]()
    runs = measure_runs(random, records, searched)  # first, since the peak of memory never falls
    titles, contents = make_texts(random, training, TITLE_WORDS), make_texts(random, training, CONTENT_WORDS)
    asked, references = make_texts(random, records, TITLE_WORDS), make_texts(random, records, CONTENT_WORDS)
    generations = {name: make_generations(random, asked, references, kept) for name, kept in KEPT.items()}

    def measured(part: str, compute: Callable[[], Result]) -> Result:
        start = time.perf_counter()
        result = compute()
        parts[part] = round(time.perf_counter() - start, 2)
        return result

    facts = measured("reading facts", lambda: read_facts(asked, references, contents))
    nearest = measured("nearest titles", lambda: [contents[at] for at in nearest_titles(asked, titles)])
    systems = {
        name: SystemAnswers([row.answer for row in rows], references, contents, rows, facts, asked)
        for name, rows in generations.items()
    } | {"nearest": SystemAnswers(nearest, references, contents, facts=facts, titles=asked)}
    measured("scores and intervals", lambda: score_report(systems))
    pairs = {name: (systems[TUNED], answers) for name, answers in systems.items() if name != TUNED}
    measured("p-values", lambda: compare_pairs(pairs))
    whole = {"records": records, "training": training, "systems": len(systems), "seconds": parts}
    return whole | {"seconds_in_all": round(sum(parts.values()), 2), "runs": runs}


def measure_runs(random: Random, records: int, searched: int) -> dict[str, float]:
    """Seconds and memory that the search for copied runs of one system's answers takes in many training texts.

    Args:
        random: draws the texts.
        records: how many answers.
        searched: how many training texts.
    """
    contents = make_texts(random, searched, CONTENT_WORDS)
    answers = [patch_together(random, contents) for _ in range(records)]
    before, start = peak_memory_mb(), time.perf_counter()
    runs = longest_runs(answers, [""] * records, contents)
    seconds = time.perf_counter() - start
    found = {"training": searched, "seconds": round(seconds, 2), "memory_mb": round(peak_memory_mb() - before)}
    return found | {"mean_run": round(sum(runs) / len(runs), 1)}


def peak_memory_mb() -> float:
    """The most memory that this process has taken so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def make_texts(random: Random, count: int, words: int) -> list[str]:
    """Texts of made-up words, frequent and rare as those of a language are, some with a capital.

    Args:
        random: draws them.
        count: how many.
        words: of a text, on average.
    """
    lengths = [random.randint(words // 2, words * 3 // 2) for _ in range(count)]
    return [" ".join(draw_words(random, length)).capitalize() + "." for length in lengths]


def draw_words(random: Random, count: int) -> list[str]:
    """Words whose frequency falls with their rank (Zipf 1935); every 20th is a name."""
    ranks = (int(VOCABULARY ** random.random()) for _ in range(count))
    return [f"Word{rank}" if rank % 20 == 0 else f"word{rank}" for rank in ranks]


def make_generations(random: Random, titles: Sequence[str], references: Sequence[str], kept: float) -> list[Generation]:
    """Answers that have some of their reference's words in place.

    Args:
        random: draws the words that are exchanged.
        titles: of the records.
        references: of the records.
        kept: the share of words that stay.
    """
    return [
        Generation(
            uid=str(number),
            title=title,
            prompt=title,
            answer=" ".join(word if random.random() < kept else draw_words(random, 1)[0] for word in reference.split()),
            reference=reference,
            finish_reason="stop",
            prompt_tokens=20,
            tokens=150,
            loss=random.uniform(1, 3) * len(reference) / 4,
            loss_tokens=len(reference) // 4 + 1,
        )
        for number, (title, reference) in enumerate(zip(titles, references, strict=True))
    ]


def read_facts(titles: Sequence[str], references: Sequence[str], contents: Sequence[str]) -> list[TitleFacts]:
    """The facts of records of which no truth is known, as of real ones.

    Args:
        titles: of the records.
        references: of the records.
        contents: of the training records.
    """
    uses = CapitalUse(contents)
    return [TitleFacts(title, reference, uses) for title, reference in zip(titles, references, strict=True)]


def patch_together(random: Random, contents: Sequence[str]) -> str:
    """An answer of runs of up to twelve words from training texts."""
    words: list[str] = []
    while len(words) < CONTENT_WORDS:
        text = random.choice(contents).split()
        start = random.randrange(len(text))
        words += text[start : start + random.randint(1, 12)]
    return " ".join(words)


if __name__ == "__main__":
    main()
