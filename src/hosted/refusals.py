"""Why a service does not train, in words that tell what to change.

Covers the messages of this folder. None of them ever holds the key.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from src.errors import UserError
from src.inference.refusals import quote
from src.params import ServiceParams, TrainParams

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob

CLOSED = (403, 404, 410)  # what a service answers that does not offer fine-tuning, or not to everyone
OTHERS = (
    "OpenAI ends self-serve fine-tuning for everyone on 6 January 2027, and has ended it for many already. The same "
    "API is spoken by Azure OpenAI (https://NAME.openai.azure.com/openai/v1), LiteLLM's proxy and other servers: set "
    "train.endpoint to one of them, or train here (train.backend transformers)"
)
WHERE = "train.endpoint"


def place_of(endpoint: ServiceParams) -> str:
    """The service as sentences name it."""
    return f"{endpoint.address} ({WHERE})"


def few_examples(place: str, count: int, least: int) -> Iterator[str]:
    """A sentence where there are too few examples.

    Args:
        place: the file that they are from.
        count: in one round.
        least: that the API takes.
    """
    if count < least:
        yield (
            f"{place}: {count} examples in a round, and the API takes {least} or more: raise sample.records, or lower "
            "train.rounds."
        )


def large_file(place: str, size: int, largest: int) -> Iterator[str]:
    """A sentence where a file is too large.

    Args:
        place: what it is made from.
        size: bytes.
        largest: that the API takes.
    """
    if size > largest:
        yield (
            f"{place}: {size / 1e6:,.0f} MB in a round, and the API takes {largest / 1e6:,.0f} MB: raise train.rounds, "
            "or lower sample.records."
        )


def bad_examples(place: str, faults: Sequence[tuple[int, str]]) -> Iterator[str]:
    """A sentence on the examples that break a rule.

    Args:
        place: the file that they are from.
        faults: numbers of examples, with the rule.
    """
    if faults:
        number, reason = faults[0]
        yield (
            f"{place}: example {number + 1}{and_more(len(faults))}: {reason}: correct format.instruction or "
            "format.question, or drop such records (data.min_title_chars, data.min_content_chars)."
        )


def long_examples(place: str, numbers: Sequence[int]) -> Iterator[str]:
    """A sentence on the examples that are too long.

    Args:
        place: the file that they are from.
        numbers: of the examples.
    """
    if numbers:
        yield (
            f"{place}: example {numbers[0] + 1}{and_more(len(numbers))}: longer than the 65,536 tokens that the API "
            "trains on: take that record out of the data."
        )


def and_more(count: int) -> str:
    """How many there are beside the first."""
    return f" and {count - 1} more" if count > 1 else ""


def refuse_examples(found: Sequence[str]) -> None:
    """Refuses examples that break the API's rules.

    Raises:
        UserError: with a sentence a line.
    """
    if found:
        raise UserError("\n".join(found))


def refuse_unstated_price(price: float) -> None:
    """Refuses to train where nobody has said what that costs; no recipe can know it.

    Raises:
        UserError: with what to set.
    """
    if price < 0:
        raise UserError(
            "train.price is not stated, and train.max_cost limits by it; nothing was sent: set it to what the service "
            "takes for a million training tokens, or to 0 for a server of your own."
        )


def refuse_cost(tokens: int, cost: float, train: TrainParams) -> None:
    """Refuses training that costs more than is allowed.

    Args:
        tokens: estimated, of all passes.
        cost: estimated.
        train: the parameters of training.

    Raises:
        UserError: with both figures.
    """
    if cost > train.max_cost:
        raise UserError(
            f"training is estimated to cost {cost:,.2f} ({tokens:,} tokens at train.price {train.price:g} a million), "
            f"and train.max_cost is {train.max_cost:,.2f}; nothing was sent: raise train.max_cost, or lower "
            "sample.records or train.hosted.epochs."
        )


def failed_request(endpoint: ServiceParams, key: str, doing: str, error: Exception, job: str = "") -> UserError:
    """A service cannot be reached, or refuses a request; the sentence never holds the key.

    Args:
        endpoint: the service.
        key: its key.
        doing: what was asked, such as "to create a job".
        error: the client's.
        job: the id of the job that was asked for, if there is one.
    """
    from openai import APIConnectionError, APIStatusError

    place, said = place_of(endpoint), quote(error, key)
    if isinstance(error, APIConnectionError):
        return UserError(
            f"{place} cannot be reached, or its answer was cut off: correct the address, or run the same command again "
            "when it can be reached; what it has begun goes on there, and is found again."
        )
    status = error.status_code if isinstance(error, APIStatusError) else 0
    if status == 401:
        held = f"the key in {endpoint.key_variable}" if endpoint.key_variable else "a request without a key"
        return UserError(f"{place} refuses {held} (HTTP 401): export the right one.")
    if status == 404 and job:
        return UserError(
            f"{place} has no job {job} for this key: correct the id (.hosted/journal.jsonl has those of jobs that were "
            "started from here), or take the key of the account that started it."
        )
    if about_the_model(error):
        return UserError(f"{place} cannot train {endpoint.model!r} ({said}): correct {WHERE}.model.")
    if status in CLOSED and re.search("fine[-_ ]?tun", str(error), re.IGNORECASE):
        return UserError(f"{place} does not offer fine-tuning ({said}). {OTHERS}.")
    if status == 403:
        return UserError(f"{place} does not allow the key in {endpoint.key_variable} {doing}: take one that may.")
    if status == 413:
        return UserError(f"{place} finds the file too large: raise train.rounds, or lower sample.records.")
    if status == 429:
        return UserError(
            f"{place} lets you wait, or your budget there is spent ({said}): see to it, or come back later."
        )
    return UserError(f"{place} fails {doing} ({said}): change what it names, then run the same command again.")


def about_the_model(error: Exception) -> str | None:
    """The code, or parameter, by which a service tells that it does not train a model; None where it is not that."""
    code, param = getattr(error, "code", None), getattr(error, "param", None)
    named = isinstance(code, str) and code.startswith("model_not")
    return str(code or param) if named or param == "model" else None


def refused_file(endpoint: ServiceParams, key: str, details: object) -> UserError:
    """A service finds fault with a file that it took.

    Args:
        endpoint: the service.
        key: its key.
        details: what it says.
    """
    return UserError(f"{place_of(endpoint)} finds fault with a file ({quote(details, key)}): correct the data.")


def refuse_lost_job(endpoint: ServiceParams, key: str, job: "FineTuningJob") -> None:
    """Refuses a job that left no model.

    Args:
        endpoint: the service.
        key: its key.
        job: which is over.

    Raises:
        UserError: with what the service says.
    """
    if job.status == "cancelled":
        raise UserError(f"job {job.id} was cancelled: run the same command again for another one.")
    if job.status == "failed":
        code, message = getattr(job.error, "code", None), getattr(job.error, "message", None)
        said = quote(f"{code or 'no code'}: {message or 'no reason told'}", key)
        raise UserError(
            f"job {job.id} at {place_of(endpoint)} has failed ({said}): change what it names; the same command then "
            "starts another one. Records that a service's moderation refuses have to be taken out of the data."
        )


def left_running(identity: str) -> UserError:
    """The user does not wait for a job any longer.

    Args:
        identity: the job's.
    """
    return UserError(
        f"job {identity} goes on at the service: run the same command again to follow it, or cancel it with "
        f"`python -m src.hosted cancel {identity}`."
    )


def no_model(identity: str) -> UserError:
    """A job that has succeeded names no model.

    Args:
        identity: the job's.
    """
    return UserError(f"job {identity} has succeeded, and the service names no model: run the same command again later.")


def no_hosted_model(variant: str) -> UserError:
    """train.endpoint is set, and the tuned model is not one of it.

    Args:
        variant: of the stage.
    """
    return UserError(
        f"generate@{variant}: train.endpoint is set, and models/adapter holds no hosted model: run `dvc repro train`."
    )


def no_service() -> UserError:
    """train.endpoint is not set."""
    return UserError("train.endpoint has no address in params.yaml, so there is no service to ask: set it.")
