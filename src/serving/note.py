"""What a server has to know about an exported model beside its weights: models/export/serving.json.

Covers the note that the export stage writes and everything that serves reads. It makes the export folder enough to
serve from.
"""

from pathlib import Path
from typing import NamedTuple

from src.errors import DamagedFileError
from src.files import read_json, write_json
from src.inference.engine import Sampling
from src.prompts.rendering import Turns, prompt_turns
from src.serving import refusals

NAME = "serving.json"
BASE_GGUF, ADAPTER_GGUF = "base-q8_0.gguf", "shelftalk-lora.gguf"  # in the folder of the export


class ServingNote(NamedTuple):
    """How the model is asked as it was trained and evaluated."""

    instruction: str
    question: str
    """Holds {title} once."""
    sampling: Sampling
    check_titles: list[str]
    """Test titles on which base and tuned model have to differ."""

    def turns(self, title: str) -> Turns:
        """What the model is asked about a title."""
        return prompt_turns(self.instruction, self.question, title)


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
