"""Whether an exported form answers as the model it was made from.

Covers greedy answers token by token, and prompts byte by byte. Does not judge how good an answer is.
"""

from src.errors import UserError


def same_prompts(name: str, rendered: list[str], trained: list[str]) -> None:
    """Refuses an export whose own template renders another prompt than training did.

    Raises:
        UserError: quoting the first difference.
    """
    for ours, theirs in zip(trained, rendered, strict=True):
        if ours != theirs:
            raise UserError(f"{name} renders the prompt {theirs!r}, and training saw {ours!r}: not exported.")


def agreement(answers: list[list[int]], expected: list[list[int]]) -> float:
    """The share of answers that are the same to the last token."""
    return round(sum(a == b for a, b in zip(answers, expected, strict=True)) / len(expected), 6)


def same_answers(name: str, answers: list[list[int]], expected: list[list[int]]) -> None:
    """Refuses an export that answers otherwise than the model it was made from.

    Raises:
        UserError: naming the first prompt and token that differ.
    """
    for prompt, (theirs, ours) in enumerate(zip(answers, expected, strict=True), start=1):
        if theirs != ours:
            same = next(
                (i for i, (a, b) in enumerate(zip(theirs, ours, strict=False)) if a != b), min(len(theirs), len(ours))
            )
            raise UserError(
                f"{name} answers check prompt {prompt} otherwise than the merged model from token {same + 1} on "
                f"({agreement(answers, expected):.0%} of the answers agree): not exported."
            )
