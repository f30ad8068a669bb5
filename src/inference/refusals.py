"""Why an engine does not answer, in words.

Covers the messages of this folder. They change no result, so that no stage runs again for another wording.
"""

from src.errors import UserError


def refused_prompt(reason: str) -> UserError:
    """llama.cpp gives no answer to a prompt, such as one that is longer than its context."""
    return UserError(
        f"llama.cpp does not answer a prompt ({reason}): shorten format.instruction and format.question, or the "
        "titles, so that prompt and answer fit."
    )
