"""Whether an exported form answers as the model it was made from.

Covers prompts byte by byte, greedy answers token by token, and the loss of given answers. Does not judge how good an
answer is.
"""

from typing import Any

from src.errors import UserError

# By precision: nats by which the original may prefer its own token where an answer parts, since rounding swaps ties.
TOLERANCE = {"f16": 0.02, "q8_0": 0.3}
LOSS_DIFFERENCE = 0.01  # nats a token that merging may change the loss of an answer by


def check_prompts_equal(name: str, rendered: list[str], trained: list[str]) -> None:
    """Refuses an export whose own template renders another prompt than training did.

    Raises:
        UserError: quoting the first difference.
    """
    for ours, theirs in zip(trained, rendered, strict=True):
        if ours != theirs:
            raise UserError(f"{name} renders the prompt {theirs!r}, and training saw {ours!r}: not exported.")


def check_losses_close(name: str, losses: list[tuple[float, int]], expected: list[tuple[float, int]]) -> float:
    """The largest difference between two models' losses of the same answers, in nats a token.

    Raises:
        UserError: if it is more than merging into 16 bits explains.
    """
    largest = max(abs(a - b) / tokens for (a, tokens), (b, _) in zip(losses, expected, strict=True))
    if largest > LOSS_DIFFERENCE:
        raise UserError(f"{name} finds an answer {largest:.3f} nats a token more or less likely: not exported.")
    return round(largest, 6)


def answer_agreement(answers: list[list[int]], expected: list[list[int]]) -> float:
    """The share of answers that are the same to the last token."""
    return round(sum(a == b for a, b in zip(answers, expected, strict=True)) / len(expected), 6)


def token_preference(model: Any, prompt: list[int], ours: list[int], theirs: list[int], stop: int) -> float:
    """How much likelier `model` finds its own greedy answer's token than another answer's where the two part, in nats.

    0 where the answers are the same. An answer that ended earlier chose the stop token there.
    """
    import torch

    if ours == theirs:
        return 0.0
    same = next(
        (at for at, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs))
    )
    with torch.no_grad():
        logits = model(torch.tensor([prompt + ours[:same]], device=model.device)).logits[0, -1].float()
    chosen, other = ((*answer, stop)[same] for answer in (ours, theirs))
    return float(logits[chosen] - logits[other])


def check_answers_agree(name: str, preferences: list[float], tolerance: float) -> None:
    """Refuses an export that answers otherwise than the model it was made from, unless that one hardly cares.

    Raises:
        UserError: naming the first prompt whose answers differ.
    """
    for prompt, nats in enumerate(preferences, start=1):
        if nats > tolerance:
            raise UserError(
                f"{name} answers check prompt {prompt} otherwise than the merged model, which prefers its own answer "
                f"by {nats:.3f} nats where they part: not exported."
            )
