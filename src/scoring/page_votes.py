"""The votes of the page's visitors: rows of data/page_votes.jsonl, with the answers that each is on.

Covers which of them count for the blind test: those given without knowing whose the answers were, on the model that
was voted on last. Everyone may vote, on any title and with any sampling, so they are told apart from the blind test's
own votes, which are on the answers to the test records.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from src.journal import Journal
from src.scoring.refusals import malformed_vote
from src.scoring.votes import Vote, comparisons, plural, report_lines

PAGE_VOTES = Path("data/page_votes.jsonl")


class PageVote(Vote):
    """A visitor's vote; fields in the file's order, after those of a vote."""

    title: str
    first_answer: str
    second_answer: str
    hidden: bool  # whether the visitor was not told whose they were
    adapter: str  # digest of its file


def read_page_votes(path: Path) -> list[PageVote]:
    """The votes of the page; none where there is no file.

    Raises:
        UserError: naming the first line that holds none.
    """
    votes = []
    for number, row in enumerate(Journal(path).rows, start=1):
        try:
            votes.append(PageVote.model_validate(row))
        except ValidationError as error:
            raise malformed_vote(f"{path}:{number}", error) from None
    return votes


def page_report(votes: Sequence[PageVote], systems: Sequence[str]) -> Iterator[str]:
    """What the page's votes say of base and tuned model, and how many are left out; nothing where there are none.

    Args:
        votes: all of them, the last one last.
        systems: those that are compared.
    """
    concerned = [vote for vote in votes if {vote.first, vote.second} <= set(systems)]
    counted = [vote for vote in concerned if vote.hidden and vote.adapter == concerned[-1].adapter]
    if len(counted) < len(concerned):
        left_out = plural(len(concerned) - len(counted), "vote")
        yield f"{left_out} of the page left out: on an earlier model, or given while its name was seen."
    if counted:
        pair = [system for system in systems if system in (counted[0].first, counted[0].second)]
        yield from (f"On the page: {line}" for line in report_lines(comparisons(counted), pair))
