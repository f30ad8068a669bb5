"""Why a model is not exported, in words.

Covers the refusals of this folder. They measure nothing, so that no model is merged and converted again for another
wording.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from src.errors import UserError
from src.files import read_json

HOSTED = "hosted.json"  # in place of an export, as src/hosted/exporting.py writes it
# What a status of the hub means for an upload, and what to change.
HUB_STATUS = {
    401: "it does not accept your token: log in with `hf auth login`, or set HF_TOKEN to a token that is valid",
    403: "your token may not write there: take a token with write permission, or a repository of your own",
    404: "it has no such repository or owner that your token may see: check the name",
    409: "somebody else writes to it at the same time: wait a moment, and give the same command again",
    413: "a file is larger than it takes: leave that form out by --forms",
    429: "it was asked too often: wait some minutes, and give the same command again, which goes on from there",
}


def unknown_architecture(architecture: str) -> UserError:
    """llama.cpp's converter has no class for the base model."""
    return UserError(
        f"the base model is a {architecture}, which llama.cpp's converter does not know: "
        "choose a Llama, a Mistral or a Qwen2 as the base."
    )


def refuse_adapter_options(options: list[str]) -> None:
    """Refuses an adapter that is more than LoRA as llama.cpp adds it.

    Args:
        options: of adapter_config.json, that are set.

    Raises:
        UserError: naming them.
    """
    if options:
        raise UserError(
            f"models/adapter/adapter_config.json sets {', '.join(options)}, which llama.cpp cannot add to a base while "
            "it runs: take lora out of export.formats."
        )


def unknown_adapter_weight(name: str) -> UserError:
    """An adapter holds a weight that is no LoRA matrix of a layer that llama.cpp knows."""
    return UserError(
        f"models/adapter holds {name}, which llama.cpp has no name for in an adapter: take lora out of export.formats."
    )


def no_second_merge() -> UserError:
    """The base has no 16-bit weights beside those that the adapter was trained on."""
    return UserError(
        "export.formats has merged_16bit, a merge into the 16-bit weights of a base that was trained on in 4 bits, and "
        "the adapter was trained on the only weights that there are: take merged_16bit out, merged is that form."
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
    """Refuses check prompts that the adapter answers with nothing: equal silence shows no equal model.

    Args:
        answers: token ids of each answer.

    Raises:
        UserError: if every answer is empty.
    """
    if not any(answers):
        raise UserError(
            f"the adapter answers all {len(answers)} check prompts with nothing, so that no exported form can be "
            "compared with it: not exported. Raise export.check_prompts, or train longer."
        )


def unknown_split() -> UserError:
    """llama.cpp's converter has no name for the way in which the base's tokenizer splits text."""
    return UserError(
        "the base model's tokenizer splits text in a way that llama.cpp's converter does not know: choose a base with "
        "a tokenizer of Llama, Llama 3, Qwen2 or Mistral."
    )


def unknown_vocabulary(reason: str) -> UserError:
    """llama.cpp's converter cannot write the base's vocabulary.

    Args:
        reason: what it says.
    """
    return UserError(
        f"llama.cpp's converter cannot write the base model's vocabulary ({' '.join(reason.split())[:200]}), so that "
        "no GGUF could be exported after training: choose a base with a tokenizer of Llama, Llama 3, Qwen2 or Mistral."
    )


def refuse_other_template(rendered: str, trained: str) -> None:
    """Refuses a chat template that a Modelfile cannot hold: one that does more with a turn than to put it in its place.

    Args:
        rendered: a prompt by the Modelfile.
        trained: the same prompt by the chat template.

    Raises:
        UserError: quoting both.
    """
    if rendered != trained:
        raise UserError(
            f"a Modelfile would make Ollama ask {rendered!r}, where training sees {trained!r}: the base model's chat "
            "template changes the text of a turn. Set format.template to alpaca or plain, or choose another base."
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


def refuse_other_mean_loss(name: str, difference: float, limit: float) -> None:
    """Refuses an exported form that finds the references more or less likely than the adapter does.

    Args:
        name: the form, as the message names it.
        difference: its mean loss minus the adapter's, in nats a token.
        limit: what the form's rounding explains, in nats a token.

    Raises:
        UserError: naming the difference.
    """
    if not abs(difference) <= limit:  # NaN is above every limit, too
        raise UserError(
            f"{name} finds the references {abs(difference):.3f} nats a token {'less' if difference > 0 else 'more'} "
            f"likely than the adapter does, and its rounding explains {limit}: not exported."
        )


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
                f"{name} answers check prompt {prompt} otherwise than the adapter, whose own answer the merged "
                f"model prefers by {nats:.3f} nats where they first differ: not exported."
            )


def refuse_lost_text(name: str, lost: str | None) -> None:
    """Refuses a text that Ollama would not read from a Modelfile as it is.

    Args:
        name: the text, as the message names it.
        lost: what of it would be lost.

    Raises:
        UserError: naming it.
    """
    if lost:
        raise UserError(f"{name} has {lost}, which Ollama does not read from a Modelfile: not exported.")


def other_modelfile() -> UserError:
    """The Modelfile does not have the form that the export writes."""
    return UserError("models/export/Modelfile is not as the export wrote it: `dvc checkout models/export` restores it.")


def missing_export(path: Path) -> UserError:
    """There is no exported model to publish, or no card; what a service keeps cannot be published."""
    if (path.parent / HOSTED).is_file():
        return hosted_elsewhere(path.parent)
    return UserError(f"{path} is missing: run `make repro`, which trains and exports a model, then publish it.")


def hosted_elsewhere(export: Path) -> UserError:
    """A service keeps the model, so that nothing was exported.

    Args:
        export: the folder, which holds a note alone.
    """
    hosted = read_json(export / HOSTED)
    return UserError(
        f"{export} holds no model: {hosted['model']} stays with the service that trained it ({hosted['address']}), so "
        "that it cannot be served or published from here. models/MODEL_CARD.md has the lines that ask it there; for a "
        "model of your own set train.backend to transformers, or `python -m src.params recipe defaults`, and run "
        "`make repro`."
    )


def refuse_repository_name(repository: str) -> None:
    """Refuses what is no repository of a hub, and the placeholder itself.

    Args:
        repository: as the command line has it.

    Raises:
        UserError: with the form.
    """
    if repository == "OWNER/NAME" or not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise UserError(
            f"{repository!r} is not the name of a repository: write your name on the hub, a slash and a name for the "
            "model, as in your-name/shelftalk."
        )


def missing_forms(lacking: Sequence[str], present: Sequence[str]) -> UserError:
    """The export has not all forms that --forms names.

    Args:
        lacking: those that it has not.
        present: those that it has.
    """
    return UserError(
        f"models/export has no {', '.join(lacking)}, only {', '.join(present)}: add it to export.formats and run "
        "`dvc repro`, or leave it out of --forms."
    )


def unknown_licence() -> UserError:
    """The card's metadata names no licence."""
    return UserError(
        "models/MODEL_CARD.md names no licence, as the base declares none, and the model is made from it: find out "
        "what the base's licence allows, put `license:` with its name into the metadata of its README.md in "
        "base.folder, and run `dvc repro`."
    )


def left_placeholder(file: str, text: str) -> UserError:
    """A text is not finished.

    Args:
        file: where.
        text: what stands for something else.
    """
    return UserError(f"{file} still has {text!r} in it: nothing was sent. Replace it, and run `dvc repro`.")


def no_status(reason: str) -> UserError:
    """DVC cannot tell whether the export is up to date.

    Args:
        reason: what it says.
    """
    return UserError(f"`dvc status` fails ({reason}), so that nothing tells whether export and card are current.")


def not_current(paths: Sequence[str]) -> UserError:
    """Export or card are not those that dvc.lock names, or are older than what they are made from.

    Args:
        paths: what changed since.
    """
    shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
    return UserError(
        f"the export or its card is not up to date, or changed by hand ({shown}): run `dvc repro model_card`, commit, "
        "and publish then."
    )


def no_token() -> UserError:
    """Nobody is logged in."""
    return UserError("you are not logged in to the hub: run `hf auth login`, or set HF_TOKEN.")


def public_repository(repository: str) -> UserError:
    """The repository is there, and --private would not make it private.

    Args:
        repository: owner/name.
    """
    return UserError(
        f"{repository} is there already and public, and --private is given: nothing was sent. Make it private in its "
        "settings, choose another name, or leave --private out."
    )


def refused_by_hub(repository: str, status: int) -> UserError:
    """The hub answers with an error.

    Args:
        repository: owner/name.
        status: of HTTP.
    """
    trouble = "it is in trouble: try again later" if status >= 500 else "huggingface_hub may be too old for it"
    return UserError(f"the hub refused {repository} ({status}): {HUB_STATUS.get(status, trouble)}.")


def unreachable_hub(reason: str) -> UserError:
    """The hub does not answer.

    Args:
        reason: the error's name.
    """
    return UserError(
        f"the hub cannot be reached from here, or broke off ({reason}): check the network, and HF_ENDPOINT if you have "
        "set it, and give the same command again, which goes on from there."
    )


def unusable_upload(reason: str) -> UserError:
    """The hub's library refuses what is given to it.

    Args:
        reason: what it says.
    """
    return UserError(f"huggingface_hub does not upload this ({reason[:200]}): nothing more was sent.")
