"""The votes of people on pairs of answers: rows of data/votes.jsonl, one for each vote, added as they come.

Covers the row, which of them still count, and what they say together. A row holds a digest of what was voted on, so
that a vote on answers that have changed since is left out. Does not ask anybody: src/scoring/blind.py does.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import combinations
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from src.journal import Journal
from src.scoring.generations import Generation
from src.scoring.preferences import SHARE, Comparison, preference, strengths
from src.scoring.refusals import malformed_vote

Answers = Mapping[str, Mapping[str, Generation]]  # by system, then by uid


class Vote(BaseModel):
    """What a person said of two answers to one title; fields in the file's order."""

    model_config = ConfigDict(strict=True, frozen=True)

    uid: str
    first: str  # the system whose answer was shown as A
    second: str  # as B
    choice: Literal["first", "second", "tie", "skip"]  # a skip counts for nothing, and is not asked again
    answers: str  # digest of title and both answers, see `digest`


def parse_votes(journal: Journal) -> list[Vote]:
    """The votes of a file.

    Raises:
        UserError: naming the first line that holds none.
    """
    return [parse_vote(row, f"{journal.path}:{number}") for number, row in enumerate(journal.rows, start=1)]


def parse_vote(row: object, place: str) -> Vote:
    """The vote in a row.

    Args:
        row: of a file.
        place: the file and line that an error names.

    Raises:
        UserError: if it holds none.
    """
    try:
        return Vote.model_validate(row)
    except ValidationError as error:
        raise malformed_vote(place, error) from None


def digest(title: str, shown_a: str, shown_b: str) -> str:
    """Sixteen hexadecimal digits, others where a text is another.

    Args:
        title: of the product.
        shown_a: the answer that was shown first.
        shown_b: the other.
    """
    return sha256(json.dumps([title, shown_a, shown_b]).encode()).hexdigest()[:16]


def is_current(vote: Vote, answers: Answers) -> bool:
    """Whether the answers are still those that were voted on.

    Args:
        vote: one between two of the systems in `answers`.
        answers: of each system.
    """
    first, second = answers[vote.first].get(vote.uid), answers[vote.second].get(vote.uid)
    return bool(first and second and vote.answers == digest(first.title, first.answer, second.answer))


def split_votes(votes: Iterable[Vote], answers: Answers) -> tuple[list[Vote], int]:
    """The votes on these systems' present answers, and how many there are on earlier answers.

    Args:
        votes: on any systems.
        answers: of the systems that are compared.
    """
    concerned = [vote for vote in votes if {vote.first, vote.second} <= set(answers)]
    current = [vote for vote in concerned if is_current(vote, answers)]
    return current, len(concerned) - len(current)


def comparisons(votes: Iterable[Vote]) -> list[Comparison]:
    """The votes without those that were skipped."""
    return [Comparison(vote.first, vote.second, vote.choice) for vote in votes if vote.choice != "skip"]


def report_lines(votes: Sequence[Comparison], systems: Sequence[str]) -> Iterator[str]:
    """What votes say: the preference of each pair, and from three systems on their strengths.

    Args:
        votes: at least one, between any two of the systems.
        systems: their names.
    """
    for pair in combinations(systems, 2):
        shares = [share_of(pair[0], vote) for vote in votes if {vote.first, vote.second} == set(pair)]
        yield describe_preference(pair, shares) if shares else f"{pair[0]} and {pair[1]}: no votes."
    if len(systems) > 2:
        yield "Strengths (Bradley-Terry; stronger by 1 is preferred in 73% of the votes), with 95% intervals:"
        found = strengths(votes, systems)
        for name in sorted(found, key=lambda name: -found[name].estimate):
            yield f"  {name:<20} {found[name].estimate:+.2f} ({found[name].low:+.2f} to {found[name].high:+.2f})"


def share_of(system: str, vote: Comparison) -> float:
    """What a system gets of a vote: 1, 0, or 0.5 of a tie.

    Args:
        system: one of the two that the vote is between.
        vote: either way round.
    """
    return SHARE[vote.choice] if vote.first == system else 1 - SHARE[vote.choice]


def describe_preference(pair: tuple[str, str], shares: Sequence[float]) -> str:
    """A preference in words.

    Args:
        pair: two systems.
        shares: what the first of them gets of each vote.
    """
    rate, counts = preference(shares), Counter(shares)
    return (
        f"{pair[0]} is preferred to {pair[1]} in {rate.estimate:.1f}% ({rate.low:.1f} to {rate.high:.1f}) of "
        f"{plural(len(shares), 'vote')}, a tie being half: {counts[1.0]} for {pair[0]}, {counts[0.0]} for {pair[1]}, "
        f"{plural(counts[0.5], 'tie')}."
    )


def plural(count: int, noun: str) -> str:
    """A number of things.

    Args:
        count: how many.
        noun: what they are.
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"
