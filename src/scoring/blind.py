"""Shows a person pairs of answers without telling whose they are, and keeps the votes.

Covers the order of questions, the terminal and the report. Which answer stands first is drawn, and no system is named
before all pairs are voted on, or --report is asked for. Votes are kept as they come, in --votes; the same command goes
on where it was. The report tells too what visitors of the page have voted (src/serving/app.py).

    python -m src.scoring.blind                                    # base against tuned
    python -m src.scoring.blind --systems base tuned few_shot      # three systems or more
    python -m src.scoring.blind --report                           # what the votes say, with intervals
"""

import argparse
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Literal, NamedTuple

from src.errors import UserError
from src.journal import Journal
from src.scoring.generations import Generation, read_generations
from src.scoring.page_votes import PAGE_VOTES, page_report, read_page_votes
from src.scoring.refusals import missing_generations, no_votes, too_few_systems
from src.scoring.votes import Answers, Vote, comparisons, digest, parse_votes, plural, report_lines, split_votes

GENERATIONS, VOTES = Path("data/generations"), Path("data/votes.jsonl")
CHOICES: dict[str, Literal["first", "second", "tie", "skip"]] = {"a": "first", "b": "second", "t": "tie", "s": "skip"}
QUIT = "q"
KEYS = "a, b, t(ie), s(kip) or q(uit)"
WIDEST = 100  # columns that are read at ease
RULE = "─" * 20


class Question(NamedTuple):
    """A pair of answers in the order in which they are shown: systems by name."""

    uid: str
    first: str
    second: str


def read_answers(systems: Sequence[str]) -> dict[str, dict[str, Generation]]:
    """The answers of systems, by uid.

    Args:
        systems: names of files in data/generations or a folder below it.

    Raises:
        UserError: if a system is named twice or alone, or has no answers.
    """
    if len(set(systems)) < max(2, len(systems)):
        raise too_few_systems()
    paths = {path.stem: path for path in sorted(GENERATIONS.rglob("*.jsonl"))}
    for system in systems:
        if system not in paths:
            raise missing_generations(system, paths)
    return {system: {row.uid: row for row in read_generations(paths[system])} for system in systems}


def draw_questions(answers: Answers, seed: int) -> list[Question]:
    """All pairs of different answers, in an order and with sides that the seed draws.

    Each record comes up once before any comes up again, and pairs of systems take turns, so that votes are balanced
    wherever a person stops.

    Args:
        answers: of two or more systems.
        seed: what is drawn follows from it.
    """
    random = Random(seed)
    first = next(iter(answers.values()))
    uids = sorted(uid for uid in first if all(uid in rows for rows in answers.values()))
    random.shuffle(uids)
    pairs = list(combinations(sorted(answers), 2))  # so that the order of --systems changes nothing
    drawn = [
        Question(uid, *random.sample(pairs[(place + turn) % len(pairs)], 2))
        for turn in range(len(pairs))
        for place, uid in enumerate(uids)
    ]
    return [one for one in drawn if answers[one.first][one.uid].answer != answers[one.second][one.uid].answer]


def open_questions(questions: Sequence[Question], votes: Sequence[Vote]) -> list[Question]:
    """The questions without a vote, whichever answer stood first.

    Args:
        questions: all.
        votes: on the present answers.
    """
    done = {(vote.uid, frozenset((vote.first, vote.second))) for vote in votes}
    return [one for one in questions if (one.uid, frozenset((one.first, one.second))) not in done]


def ask_questions(questions: Sequence[Question], answers: Answers, journal: Journal) -> int:
    """Asks until all is voted on, or the person quits.

    Args:
        questions: in their order.
        answers: what they are about.
        journal: what keeps the votes.

    Returns:
        How many votes were given, skips among them.
    """
    for number, question in enumerate(questions):
        first, second = answers[question.first][question.uid], answers[question.second][question.uid]
        print(shown_pair(first.title, first.answer, second.answer))
        key = read_key(f"{plural(len(questions) - number, 'pair')} left. Which is better? {KEYS}: ")
        if key == QUIT:
            return number
        vote = Vote(**question._asdict(), choice=CHOICES[key], answers=digest(first.title, first.answer, second.answer))
        journal.append(vote.model_dump())
    return len(questions)


def read_key(prompt: str) -> str:
    """What a person chooses; the end of the input and Ctrl-C quit."""
    while True:
        try:
            key = input(prompt).strip().lower()[:1]
        except (EOFError, KeyboardInterrupt):
            print()
            return QUIT
        if key in CHOICES or key == QUIT:
            return key
        print(f"Type {KEYS}, and then Enter.")


def shown_pair(title: str, shown_a: str, shown_b: str) -> str:
    """A question as the terminal shows it.

    Args:
        title: of the product.
        shown_a: the answer that stands first.
        shown_b: the other.
    """
    return f"\n{RULE}\n{wrap(title)}\n\nA\n{wrap(shown_a)}\n\nB\n{wrap(shown_b)}\n"


def wrap(text: str) -> str:
    """A text in lines that fit the terminal, without characters that could move its cursor or turn its direction."""
    visible = "".join(" " if char.isspace() else char for char in text if char.isspace() or is_shown(char))
    width = min(WIDEST, shutil.get_terminal_size().columns)
    return textwrap.fill(visible, width) or "(empty)"


def is_shown(char: str) -> bool:
    """Whether a character is neither a control character nor an invisible one: both are of Unicode's class C."""
    return not unicodedata.category(char).startswith("C")


def run_test(systems: Sequence[str], path: Path, seed: int, report: bool) -> Iterator[str]:
    """Asks, or reports, and tells what there is to tell.

    Args:
        systems: those that are compared.
        path: of the votes.
        seed: of the questions' order.
        report: whether to report only.

    Raises:
        UserError: if answers or, for a report, votes are missing.
    """
    answers, journal = read_answers(systems), Journal(path)
    current, stale = split_votes(parse_votes(journal), answers)
    if stale:
        yield f"{plural(stale, 'vote')} in {path} on answers that have changed since: left out."
    if report:
        yield from tell_report(current, systems, path)
        return
    questions = draw_questions(answers, seed)
    waiting = open_questions(questions, current)
    given = ask_questions(waiting, answers, journal)
    if given < len(waiting):
        yield f"{plural(given, 'vote')} kept in {path}, {plural(len(waiting) - given, 'pair')} left: run it again."
        return
    yield f"All {plural(len(questions), 'pair')} of different answers are voted on."
    yield from tell_report(split_votes(parse_votes(journal), answers)[0], systems, path)


def tell_report(votes: Sequence[Vote], systems: Sequence[str], path: Path) -> Iterator[str]:
    """What the votes say.

    Args:
        votes: on the present answers.
        systems: those that are compared.
        path: of the votes.

    Raises:
        UserError: if there are none, skips aside, here and of the page's visitors.
    """
    counted, of_page = comparisons(votes), list(page_report(read_page_votes(PAGE_VOTES), systems))
    if not counted and not of_page:
        raise no_votes(path)
    if counted:
        yield from report_lines(counted, systems)
    yield from of_page


def main() -> None:
    """Runs the test in a terminal, or on lines from a pipe."""
    parser = argparse.ArgumentParser(
        prog="python -m src.scoring.blind", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--systems", nargs="+", default=["base", "tuned"], metavar="NAME")
    parser.add_argument("--votes", type=Path, default=VOTES, metavar="PATH")
    parser.add_argument("--seed", type=int, default=0, help="of the order; the same one to go on where it was")
    parser.add_argument("--report", action="store_true", help="tell what the votes say, and ask nothing")
    given = parser.parse_args()
    try:
        for line in run_test(given.systems, given.votes, given.seed, given.report):
            print(line, flush=True)
    except UserError as error:
        sys.exit(f"blind: {error}")
    except OSError as error:
        sys.exit(f"blind: {error.filename}: {error.strerror}.")


if __name__ == "__main__":
    main()
