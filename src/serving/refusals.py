"""Why titles are not searched, and models not served, in words."""

from pathlib import Path
from typing import TYPE_CHECKING

from src.errors import UserError
from src.export.refusals import HOSTED, hosted_elsewhere
from src.params import GenerateParams

if TYPE_CHECKING:
    from src.inference.engine import Sampling


def missing_index(path: Path) -> UserError:
    """There is no index."""
    return UserError(f"{path} is missing: run `dvc repro index`, which makes it from the cleaned records.")


def empty_title() -> UserError:
    """There is nothing to search for."""
    return UserError(
        'TITLE is empty: write a title, or words of one, as in python -m src.serving.search "oak desk lamp".'
    )


def wrong_limit(limit: int, most: int) -> UserError:
    """Another number of hits than the search can give.

    Args:
        limit: what was asked for.
        most: what can be.
    """
    return UserError(f"--limit is {limit}, and must be 1 to {most}: change it.")


def missing_export(path: Path) -> UserError:
    """There is no exported model to serve, or not in this form; or a service keeps it."""
    if (path.parent / HOSTED).is_file():
        return hosted_elsewhere(path.parent)
    return UserError(
        f"{path} is missing: run `make repro`, which trains a model and exports it (export.formats has to hold lora), "
        "then try again."
    )


def equal_sides(folder: Path, titles: int) -> UserError:
    """The adapter makes no difference: it was not loaded, or never trained.

    Args:
        folder: of the export.
        titles: on which both were asked.
    """
    return UserError(
        f"{folder}: base and tuned model find the same first tokens equally likely on all {titles} check titles, so "
        "that the adapter changes nothing: it is empty or not this base's. Run `make repro`, then try again."
    )


def refuse_long_prompt(tokens: int, max_new_tokens: int, context: int) -> None:
    """Refuses a prompt that leaves no room for the answer.

    Args:
        tokens: of the prompt.
        max_new_tokens: the longest answer.
        context: tokens of prompt and answer together.

    Raises:
        UserError: telling by how much it is too long.
    """
    if tokens + max_new_tokens > context:
        raise UserError(
            f"TITLE is too long: its prompt has {tokens:,} tokens, and with up to {max_new_tokens:,} for the answer "
            f"the context holds {context:,}: shorten it by {tokens + max_new_tokens - context:,} tokens or more."
        )


def open_door(host: str, variable: str) -> UserError:
    """The page would be open to everyone in the network.

    Args:
        host: where it was to listen.
        variable: of the environment, which holds a password.
    """
    return UserError(
        f"--host {host} lets other machines in, and {variable} is not set: set it to a password that visitors need, "
        "or leave --host out."
    )


def wrong_slots(slots: int, most: int) -> UserError:
    """Another number of slots than the page can work with.

    Args:
        slots: what was asked for.
        most: what can be.
    """
    return UserError(f"--slots is {slots}, and must be 2, one for each of the two answers, to {most}: change it.")


def not_loaded(problem: str) -> UserError:
    """There is no model that could answer."""
    return UserError(problem or "The model is still being loaded: try again in a moment.")


def no_title() -> UserError:
    """The field is empty, or holds nothing that is seen."""
    return UserError("There is no title yet: type one, or choose an example.")


def long_title(length: int, most: int) -> UserError:
    """More than a title can be.

    Args:
        length: characters.
        most: likewise.
    """
    return UserError(f"This title has {length:,} characters, and the longest that is read has {most:,}: shorten it.")


def empty_question() -> UserError:
    """There is nothing to describe."""
    return UserError("TITLE is empty: write a product's title, such as Oak Desk Lamp, 30 cm, or a question about one.")


def refuse_other_count(option: str, count: int, most: int) -> None:
    """Refuses a number that an option cannot have.

    Args:
        option: as it is written.
        count: what was asked for.
        most: what can be.

    Raises:
        UserError: naming both.
    """
    if not 0 <= count <= most:
        raise UserError(f"{option} is {count}, and must be 0 to {most}: change it.")


def refuse_sampling(sampling: "Sampling") -> None:
    """Refuses what the generate stage would refuse too.

    Args:
        sampling: how an answer is to be drawn.

    Raises:
        UserError: naming the first option that is out of its range.
    """
    from pydantic import ValidationError

    try:
        GenerateParams(**sampling._asdict(), records=0, batch_size=1, few_shot=1)
    except ValidationError as error:
        fault = error.errors()[0]
        option, wanted = str(fault["loc"][0]).replace("_", "-"), fault["msg"].removeprefix("Input should be ")
        raise UserError(f"--{option} is {fault['input']}, and must be {wanted}: change it.") from None


def special_tokens() -> UserError:
    """A text would end its own turn, or begin another one."""
    return UserError("TITLE holds a special token of the model, such as <|eot_id|>, which no title has: leave it out.")
