"""Why an engine does not answer, in words.

Covers the messages of this folder. They change no result, so that no stage runs again for another wording.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.errors import UserError


def refused_prompt(reason: str) -> UserError:
    """llama.cpp gives no answer to a prompt, such as one that is longer than its context."""
    return UserError(
        f"llama.cpp does not answer a prompt ({reason}): shorten format.instruction and format.question, or the "
        "titles, so that prompt and answer fit."
    )


@contextmanager
def explained_encoder(folder: Path) -> Iterator[None]:
    """Turns any error of loading a model for BERTScore into a sentence: its files may hold anything.

    Args:
        folder: the model's.

    Raises:
        UserError: with the reason.
    """
    if not (folder / "config.json").is_file():
        raise no_encoder(folder, "there is no config.json")
    try:
        yield
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        raise no_encoder(folder, reason) from error


def no_encoder(folder: Path, reason: str) -> UserError:
    """A folder has no model that BERTScore could be computed with.

    Args:
        folder: as it was set.
        reason: what is missing or cannot be read.
    """
    return UserError(
        f"evaluate.bertscore is {str(folder)!r}, and no model can be loaded from there ({reason}): set it to a folder "
        "with config.json, tokenizer and weights in safetensors, or to models/none, which leaves BERTScore out."
    )
