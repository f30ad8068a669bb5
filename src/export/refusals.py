"""Why a model is not exported, in words.

Covers the refusals of this folder. They measure nothing, so that no model is merged and converted again for another
wording.
"""

from src.errors import UserError


def unknown_architecture(architecture: str) -> UserError:
    """llama.cpp's converter has no class for the base model."""
    return UserError(
        f"the base model is a {architecture}, which llama.cpp's converter does not know: "
        "choose a Llama, a Mistral or a Qwen2 as the base."
    )


def refuse_other_prompt(name: str, rendered: str, trained: str) -> None:
    """Refuses an exported form whose own template renders another prompt than training did.

    Args:
        name: the form, as the message names it.
        rendered: the prompt by the form's own template.
        trained: the same prompt as the model was trained on it.

    Raises:
        UserError: quoting both.
    """
    if rendered != trained:
        raise UserError(f"{name} renders the prompt {rendered!r}, and training saw {trained!r}: not exported.")


def refuse_other_tokens(name: str, prompt: int, read: list[str], trained: list[str]) -> None:
    """Refuses a GGUF by which llama.cpp splits a prompt into other tokens than training did.

    Args:
        name: the file, as the message names it.
        prompt: the number of the test prompt.
        read: the prompt's tokens by llama.cpp.
        trained: those by the tokenizer of training.

    Raises:
        UserError: quoting both where they first differ.
    """
    if read != trained:
        at = next((at for at, pair in enumerate(zip(read, trained, strict=False)) if pair[0] != pair[1]), 0)
        raise UserError(
            f"{name} reads test prompt {prompt} from token {at + 1} on as {read[at : at + 5]}, and training read "
            f"{trained[at : at + 5]}: llama.cpp does not split text as the base's tokenizer.json does, so that the "
            "model would be asked in tokens it was not trained on: not exported. Take what it reads otherwise out of "
            "the titles, format.instruction or format.question, or choose a base whose tokenizer llama.cpp knows."
        )


def refuse_empty_answers(answers: list[list[int]]) -> None:
    """Refuses check prompts that the merged model answers with nothing: equal silence shows no equal model.

    Args:
        answers: token ids of each answer.

    Raises:
        UserError: if every answer is empty.
    """
    if not any(answers):
        raise UserError(
            f"the merged model answers all {len(answers)} check prompts with nothing, so that no exported form can be "
            "compared with it: not exported. Raise export.check_prompts, or train longer."
        )


def unknown_split() -> UserError:
    """llama.cpp's converter has no name for the way in which the base's tokenizer splits text."""
    return UserError(
        "the base model's tokenizer splits text in a way that llama.cpp's converter does not know: choose a base with "
        "a tokenizer of Llama, Llama 3, Qwen2 or Mistral."
    )


def refuse_other_loss(name: str, difference: float, limit: float) -> None:
    """Refuses an exported form that finds an answer more or less likely than the model it was made from.

    Args:
        name: the form, as the message names it.
        difference: the largest difference of an answer's loss, in nats a token.
        limit: what the form's rounding explains, in nats a token.

    Raises:
        UserError: naming the difference.
    """
    if difference > limit:
        raise UserError(f"{name} finds an answer {difference:.3f} nats a token more or less likely: not exported.")


def refuse_other_answers(name: str, preferences: list[float], tolerance: float) -> None:
    """Refuses an exported form that answers otherwise than the model it was made from, unless that sees a tie.

    Args:
        name: the form, as the message names it.
        preferences: for each prompt how much that model prefers its own answer, in nats.
        tolerance: what the form's rounding explains, in nats.

    Raises:
        UserError: naming the first prompt whose answers differ by more.
    """
    for prompt, nats in enumerate(preferences, start=1):
        if nats > tolerance:
            raise UserError(
                f"{name} answers check prompt {prompt} otherwise than the merged model, which prefers its own answer "
                f"by {nats:.3f} nats where they first differ: not exported."
            )


def other_modelfile() -> UserError:
    """The Modelfile does not have the form that the export writes."""
    return UserError("models/export/Modelfile is not as the export wrote it: `dvc checkout models/export` restores it.")
