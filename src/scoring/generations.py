"""The answers of a model to the held-out records, as the generate stage writes them, and what only a model can say.

Covers reading and checking them, their likelihood and how often they end by themselves. Does not look at the text.
"""

import math
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from src.errors import UserError

LARGEST_EXPONENT = 700.0  # exp of more is no finite float


class Generation(BaseModel):
    """One line of data/generations/*.jsonl: an answer, the reference, and the reference's likelihood."""

    model_config = ConfigDict(strict=True, frozen=True)

    uid: str
    title: str
    answer: str
    reference: str
    tokens: Annotated[int, Field(ge=0)]  # generated
    stopped: bool  # ended by itself rather than at the limit
    loss: Annotated[float, Field(ge=0, allow_inf_nan=False)]  # nats, summed over loss_tokens
    loss_tokens: Annotated[int, Field(ge=1)]  # of the reference and its end-of-turn token


def read_generations(path: str | Path) -> list[Generation]:
    """The generations of a JSON Lines file, in order.

    Raises:
        UserError: if the file is empty, or naming the first line that holds no generation.
    """
    with Path(path).open("rb") as lines:
        generations = [parse_generation(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]
    if not generations:
        raise UserError(f"{path} holds no answers, so there is nothing to score: run the generate stage again.")
    return generations


def parse_generation(line: bytes, place: str) -> Generation:
    """The generation that a line of JSON holds; `place` is the file and line that an error names.

    Raises:
        UserError: if the line is no JSON object, or a field is missing or of another type.
    """
    try:
        return Generation.model_validate_json(line)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(map(str, fault["loc"])) or "the line"
        raise UserError(f"{place}: {field}: {fault['msg']}: run the generate stage again.") from None


def check_paired(base: Sequence[Generation], tuned: Sequence[Generation]) -> None:
    """Makes sure that both models answered the same records, in the same order, from the same tokens.

    Raises:
        UserError: naming the first line where they differ.
    """
    for number, (left, right) in enumerate(zip_longest(base, tuned), start=1):
        if left is None or right is None:
            raise UserError(
                f"Base answered {len(base)} records and tuned {len(tuned)}, so they cannot be compared: "
                "run the generate stage again for both."
            )
        for field in ("uid", "title", "reference", "loss_tokens"):
            if getattr(left, field) != getattr(right, field):
                raise UserError(
                    f"Line {number} of the generations: {field} is {getattr(left, field)!r} for base and "
                    f"{getattr(right, field)!r} for tuned, so they cannot be compared: "
                    "run the generate stage again for both."
                )


def likelihood_scores(generations: Sequence[Generation]) -> dict[str, float | None]:
    """The references' mean loss in nats per token, its exponential, and the share of answers that ended by themselves.

    The mean is over all tokens of all references. A perplexity beyond the largest float is None.
    """
    loss = sum(generation.loss for generation in generations) / sum(g.loss_tokens for g in generations)
    return {
        "answer_loss": loss,
        "perplexity": math.exp(loss) if loss < LARGEST_EXPONENT else None,
        "stop_rate": sum(generation.stopped for generation in generations) / len(generations),
    }


NO_LIKELIHOOD: dict[str, float | None] = {"answer_loss": None, "perplexity": None, "stop_rate": None}
