"""What a server has to know about an exported model beside its weights: models/export/serving.json.

Covers the note that the export stage writes and everything that serves reads. It makes the export folder enough to
serve from.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from src.errors import DamagedFileError
from src.files import read_json, write_json
from src.inference.engine import Sampling
from src.prompts.rendering import Turns, context_entry, prompt_turns
from src.serving import refusals

if TYPE_CHECKING:
    from src.serving.search import Hit

NAME = "serving.json"


class ServingNote(NamedTuple):
    """How the model is asked as it was trained and evaluated."""

    instruction: str
    question: str
    """Holds {title} once."""
    sampling: Sampling
    check_titles: list[str]
    """Test titles on which base and tuned model have to differ."""

    context_records: int = 0
    """Records that the prompt shows at most, as in training; 0 where the model was trained on titles alone."""
    context_chars: int = 0
    """Characters of each of them at most."""

    def turns(self, title: str, context: Sequence["Hit"] = ()) -> Turns:
        """What the model is asked about a title.

        Args:
            title: the product's.
            context: the records that `find_context` found for it.
        """
        entries = [context_entry(hit.title, hit.text, self.context_chars) for hit in context]
        return prompt_turns(self.instruction, self.question, title, entries)


def write_note(folder: Path, note: ServingNote) -> None:
    """Writes the note into the folder of the export.

    Args:
        folder: the export's.
        note: what it tells.
    """
    write_json(folder / NAME, note._asdict() | {"sampling": note.sampling._asdict()})


def read_note(folder: Path) -> ServingNote:
    """The note in the folder of an export.

    Raises:
        UserError: if there is none, or it is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        raise refusals.missing_export(path)
    held = read_json(path)
    try:
        return ServingNote(**held | {"sampling": Sampling(**held["sampling"])})
    except (KeyError, TypeError) as error:
        raise DamagedFileError(path, f"other keys than expected: {error}") from None
