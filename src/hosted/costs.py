"""What training by a service is going to cost, by the price that the user states.

Covers an estimate: the tokens are counted by another tokenizer than the service's, and the passes over the examples
are a guess where the service chooses them. Prices change, so that none is written down here.
"""

from collections.abc import Sequence
from typing import NamedTuple

from src.hosted.examples import Examples
from src.hosted.refusals import refuse_cost
from src.params import TrainParams

MILLION = 1_000_000
# How OpenAI chooses the passes where they are left to it (its cookbook, "Chat fine-tuning data prep").
USUAL_EPOCHS, MOST_EPOCHS = 3, 25
FEWEST_SEEN, MOST_SEEN = 100, 25_000  # examples times passes


class Estimate(NamedTuple):
    """What all rounds are going to cost."""

    tokens: int
    """That are trained on, of all passes."""
    cost: float
    """In the currency of train.price."""


def estimate_cost(rounds: Sequence[Examples], train: TrainParams) -> Estimate:
    """The estimate for all rounds.

    Args:
        rounds: the examples of each.
        train: the parameters of training.

    Raises:
        UserError: if it is more than train.max_cost.
    """
    tokens = sum(examples.tokens * (train.hosted.epochs or chosen_epochs(examples.records)) for examples in rounds)
    estimate = Estimate(tokens, cost_of(tokens, train.price))
    refuse_cost(estimate.tokens, estimate.cost, train)
    return estimate


def chosen_epochs(examples: int) -> int:
    """The passes that a service is expected to choose for so many examples."""
    if examples * USUAL_EPOCHS < FEWEST_SEEN:
        return min(MOST_EPOCHS, FEWEST_SEEN // examples)
    if examples * USUAL_EPOCHS > MOST_SEEN:
        return max(1, MOST_SEEN // examples)
    return USUAL_EPOCHS


def cost_of(tokens: int, price: float) -> float:
    """What so many tokens cost, to the cent.

    Args:
        tokens: of all passes.
        price: of a million.
    """
    return round(tokens * price / MILLION, 2)
