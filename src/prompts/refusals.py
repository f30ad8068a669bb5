"""Why a base model's tokenizer or template cannot be used, in words.

Covers the messages of this folder. They change no result, so that no stage runs again for another wording.
"""

from src.errors import DamagedFileError, UserError


def missing_pad_token(candidates: tuple[str, ...]) -> UserError:
    """The vocabulary holds none of the candidates, or only ones that stop an answer."""
    return UserError(
        "The base model's tokenizer has no token to pad with that does not also stop an answer: "
        f"add one of {', '.join(candidates)} to its vocabulary."
    )


def missing_model(folder: object) -> UserError:
    """There is no folder of a model, or of an adapter."""
    return UserError(f"{folder} is missing: run `dvc repro`, which makes it.")


def broken_tokenizer(folder: object, error: Exception) -> UserError:
    """A model's folder has no tokenizer that can be loaded.

    Args:
        folder: the model's.
        error: what the library raises.
    """
    return DamagedFileError(f"{folder}/tokenizer.json", error)


def missing_chat_template() -> UserError:
    """format.template is chat, and the base model brings no chat template."""
    return UserError(
        "format.template is 'chat', and the base model has no chat template: "
        "set format.template to alpaca or plain, or choose an Instruct model as the base."
    )


def refused_turns(reason: str) -> UserError:
    """The chat template raises an exception for these turns."""
    return UserError(
        f"the base model's chat template refuses the prompt ({reason}): set format.template to alpaca or plain."
    )


def changing_prompt() -> UserError:
    """The chat template renders a prompt in one way alone and in another with a completion after it."""
    return UserError(
        "The base model's chat template renders a prompt differently once the completion follows, so that training and "
        "generation would see different prompts: set format.template to alpaca or plain."
    )


def too_few_examples(count: int, found: int, max_length: int) -> UserError:
    """Fewer training records fit train.max_length than generate.few_shot asks for.

    Args:
        count: generate.few_shot.
        found: how many fit.
        max_length: train.max_length.
    """
    return UserError(
        f"generate.few_shot is {count}, and {found} training records are no longer than train.max_length "
        f"({max_length} tokens): lower generate.few_shot, or raise train.max_length."
    )


def too_long_examples(longest: int, max_new_tokens: int, positions: int) -> UserError:
    """A prompt with examples and its answer are longer than the model takes.

    Args:
        longest: tokens of the longest prompt.
        max_new_tokens: generate.max_new_tokens.
        positions: max_position_embeddings of the base model's config.json.
    """
    return UserError(
        f"The longest prompt with the examples of generate.few_shot has {longest} tokens, and with "
        f"generate.max_new_tokens ({max_new_tokens}) more than the {positions} positions of the base model: lower "
        "generate.few_shot or generate.max_new_tokens."
    )
