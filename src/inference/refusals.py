"""Why an engine does not answer, in words.

Covers the messages of this folder. They change no result, so that no stage runs again for another wording.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from src.errors import UserError
from src.params import RESERVED, EndpointParams

if TYPE_CHECKING:
    from openai.types.chat.chat_completion import Choice

SHOWN_CHARS = 200  # of what an endpoint says


def refused_prompt(reason: str) -> UserError:
    """llama.cpp gives no answer to a prompt, such as one that is longer than its context."""
    return UserError(
        f"llama.cpp does not answer a prompt ({reason}): shorten format.instruction and format.question, or the "
        "titles, so that prompt and answer fit."
    )


def stopped_server() -> UserError:
    """The answer will not come, or not to its end."""
    return UserError("llama.cpp was stopped before the answer was whole: start the program again, and ask again.")


def unloadable_gguf(gguf: Path, adapter: Path | None) -> UserError:
    """llama.cpp does not load a model.

    Args:
        gguf: its file.
        adapter: the file of the adapter on it, if there is one.
    """
    files = f"{gguf} with the adapter {adapter}" if adapter else str(gguf)
    return UserError(
        f"llama.cpp does not load {files}: the memory does not hold it, or a file is damaged or another model's. "
        "Restore it (`dvc checkout models/export`), or let `dvc repro export` make it again."
    )


def unforced_reference(name: str) -> UserError:
    """llama.cpp writes other tokens than those that it is made to."""
    return UserError(
        f"llama.cpp cannot be made to write the references of the test records with {name}, so that its loss is not "
        "known: install the version of xllamacpp in requirements.txt (`make setup`)."
    )


def missing_stop(name: str) -> UserError:
    """A GGUF does not name the stop token of training as one."""
    return UserError(
        f"{name} does not end an answer at the token that training ended them by, so that its answers would go on "
        "until they are cut off: not exported. Run `dvc repro export`, which writes it again."
    )


def setting_of(endpoint: EndpointParams) -> str:
    """The parameter that names an endpoint: the one of train.endpoint answers as base, few_shot or tuned."""
    return "train.endpoint" if endpoint.name in RESERVED else "evaluate.endpoints"


def key_of(endpoint: EndpointParams) -> str:
    """An endpoint's key as sentences name it; that of train.endpoint needs no name."""
    return "its key" if endpoint.name in RESERVED else f"the key of {endpoint.name}"


def missing_key(endpoint: EndpointParams) -> UserError:
    """The environment lacks an endpoint's key."""
    return UserError(
        f"{setting_of(endpoint)}: {key_of(endpoint)} is read from the environment variable "
        f'{endpoint.key_variable}, which is not set: export it, or set key_variable to "" for a server without keys.'
    )


def odd_key(endpoint: EndpointParams) -> UserError:
    """The key holds a line break or a letter that is not ASCII."""
    return UserError(
        f"{setting_of(endpoint)}: {key_of(endpoint)}, in the environment variable {endpoint.key_variable}, "
        "holds characters that no key has, such as a line break: export it again."
    )


def failed_request(endpoint: EndpointParams, key: str, error: Exception) -> UserError:
    """An endpoint cannot be reached or refuses a request; the sentence never holds the key.

    Args:
        endpoint: which one.
        key: its key.
        error: the client's.
    """
    from openai import APIConnectionError, APITimeoutError, AuthenticationError, NotFoundError, PermissionDeniedError

    place = f"{endpoint.name} ({setting_of(endpoint)}, {endpoint.address})"
    if isinstance(error, AuthenticationError | PermissionDeniedError):  # their text may hold a part of the key
        held = f"the key in {endpoint.key_variable}" if endpoint.key_variable else "a request without a key"
        return UserError(f"{place} refuses {held} (HTTP {error.status_code}): export the right one.")
    if isinstance(error, APITimeoutError):
        return UserError(f"{place} does not answer in time: try again later; the answers so far are kept.")
    if isinstance(error, APIConnectionError):
        return UserError(
            f"{place} cannot be reached: start the server, or correct the address; the answers so far are kept."
        )
    said = quote(error, key)
    if isinstance(error, NotFoundError):
        return UserError(f"{place} has no model {endpoint.model!r} at that address ({said}): correct one of the two.")
    return UserError(f"{place} gives no answer ({said}): change what it names; the answers so far are kept.")


def no_content(endpoint: EndpointParams, key: str, choice: "Choice | None") -> UserError:
    """An endpoint answers without a text: it refuses the prompt, filters its answer or calls a tool.

    Args:
        endpoint: which one.
        key: its key.
        choice: what it answered, if anything.
    """
    refusal = getattr(getattr(choice, "message", None), "refusal", None)
    reason = refusal or f"finish reason {getattr(choice, 'finish_reason', None) or 'not told'}"
    return UserError(
        f"{endpoint.name} ({setting_of(endpoint)}, {endpoint.address}) answers a prompt without a text "
        f"({quote(reason, key)}): choose another model; the answers so far are kept."
    )


def quote(said: object, key: str) -> str:
    """What an endpoint says, on one line, cut off, and without the key."""
    return " ".join(str(said).replace(key, "…").split())[:SHOWN_CHARS]


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
