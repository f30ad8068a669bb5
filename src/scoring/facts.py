"""The facts of the held-out records: by the truth where it is known, else by the numbers and names of their titles.

Covers the choice between the two. How an answer is judged is in known_facts.py and title_facts.py.
"""

from collections.abc import Sequence

from src.scoring.fact_counts import RecordFacts
from src.scoring.generations import Generation
from src.scoring.known_facts import Truth, facts_by_truth
from src.scoring.title_facts import CapitalUse, TitleFacts


def facts_of_records(records: Sequence[Generation], truth: Truth, contents: Sequence[str]) -> list[RecordFacts]:
    """The facts of each record.

    Args:
        records: the rows of any model.
        truth: of the sample's products. It is looked up by uid and holds for no other data: a record that it does not
            have, or has under another title, is judged by its title.
        contents: those of the training records, which show what a name is.
    """
    known = facts_by_truth([row.uid for row in records], [row.title for row in records], truth)
    uses = CapitalUse(contents if None in known else [])
    pairs = zip(records, known, strict=True)
    return [facts or TitleFacts(row.title, row.reference, uses) for row, facts in pairs]
