"""Prompts and completions as text, in the template chosen.

Covers the three templates, the pinned date and the template that travels with an adapter. Every template is a Jinja
chat template, so that training, generation, llama.cpp and Ollama render the same bytes: `chat` is the base model's own,
`alpaca` and `plain` are files beside this one. Does not cover tokens: tokenizers.py and encoding.py do.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.params import TemplateName
from src.prompts import refusals

if TYPE_CHECKING:
    from jinja2 import Template

# A conversation, one {"role": …, "content": …} a turn, as chat templates and OpenAI's API take it.
Turns = list[dict[str, str]]

# What a model is asked, without a completion: turns that a chat template is still to render, or text that lacks the
# begin-of-text token alone, which only a tokenizer knows.
Prompt = Turns | str

# A line of data/prompts/*.jsonl: "prompt" and "completion", each turns or text, beside "uid" and "title"; with
# format.context retrieved also "context", entries from `context_entry`.
FormattedRecord = dict[str, Any]

KNOWN_PRODUCTS = "Known products:"  # above the context of a prompt

TEMPLATES = Path(__file__).parent / "templates"

# The day that Llama 3.2's own template falls back on. Left alone it stamps today's date into every prompt, so that
# prompts would change overnight.
PINNED_DATE = "26 Jul 2024"
DATE_PIN = f'{{%- set date_string = "{PINNED_DATE}" -%}}\n'

# For a tokenizer without a begin token, in whose place llama.cpp renders any other one.
NO_BOS = '{%- set bos_token = "" -%}\n'


def prompt_turns(instruction: str, question: str, title: str, context: Sequence[str] = ()) -> Turns:
    """The system and user turns that ask for the description of a title, without white space at their ends.

    Templates trim their turns, and llama.cpp's trim knows white space of ASCII alone.

    Args:
        instruction: the system turn.
        question: the user turn, which holds {title} once.
        title: what takes that place, as it is: braces in it mean nothing.
        context: what is known of like products, an entry each from `context_entry`; it stands before the question.
    """
    known = "\n- ".join([KNOWN_PRODUCTS, *context]) + "\n\n" if context else ""
    return [
        {"role": "system", "content": instruction.strip()},
        {"role": "user", "content": (known + question.replace("{title}", title)).strip()},
    ]


def context_entry(title: str, text: str, chars: int) -> str:
    """A known product as the context of a prompt shows it: title and description on one line, cut off behind a word.

    Args:
        title: the product's.
        text: its description.
        chars: characters that the entry has at most.
    """
    entry = " ".join(f"{title}: {text}".split())
    return entry if len(entry) <= chars else entry[: chars - 1].rsplit(" ", 1)[0] + "…"


def record_turns(instruction: str, question: str, record: FormattedRecord) -> Turns:
    """The turns that a formatted record's prompt was rendered from.

    Args:
        instruction: the system turn.
        question: the user turn, which holds {title} once.
        record: a line of data/prompts/*.jsonl.
    """
    return prompt_turns(instruction, question, record["title"], record.get("context", ()))


def prompt_and_completion(template: TemplateName, turns: Turns, completion: str) -> FormattedRecord:
    """A record in the form that trl and `datasets` call prompt-completion.

    Args:
        template: the format; turns stay turns for `chat`, whose template only the base model's tokenizer has.
        turns: what is asked.
        completion: the text of the assistant's turn.

    Returns:
        "prompt" and "completion" as lists of turns for `chat`, else as strings without begin and end tokens.
    """
    answered = [{"role": "assistant", "content": completion}]
    if template == "chat":
        return {"prompt": turns, "completion": answered}
    prompt = render_file(template, turns, add_generation_prompt=True)
    return {"prompt": prompt, "completion": render_file(template, turns + answered).removeprefix(prompt)}


def reference_text(record: FormattedRecord) -> str:
    """The completion of a formatted record as text: the reference that answers are compared with."""
    completion = record["completion"]
    return completion if isinstance(completion, str) else completion[0]["content"]


def text_contents(record: FormattedRecord) -> list[str]:
    """All text of a formatted record: what its turns hold, or prompt and completion where those are text."""
    prompt, completion = record["prompt"], record["completion"]
    return [prompt, completion] if isinstance(prompt, str) else [turn["content"] for turn in prompt + completion]


def render_file(template: TemplateName, turns: Turns, add_generation_prompt: bool = False) -> str:
    """Turns rendered by one of the template files, without begin and end tokens.

    Args:
        template: alpaca or plain.
        turns: what is rendered.
        add_generation_prompt: whether the text ends where a completion begins, as in transformers.
    """
    return compile_template(template).render(
        messages=turns, add_generation_prompt=add_generation_prompt, bos_token="", eos_token=""
    )


@cache
def compile_template(template: TemplateName) -> "Template":
    """A template file, compiled with the settings that transformers compiles chat templates with."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(template_source(template))


def template_source(template: TemplateName) -> str:
    """The text of a template file."""
    return (TEMPLATES / f"{template}.jinja").read_text(encoding="utf-8")


def saved_chat_template(template: TemplateName, base_template: str | None, bos_token: str | None) -> str:
    """The Jinja chat template that goes with the adapter and into the GGUF, its date pinned.

    Args:
        template: the format.
        base_template: the base model's own chat template, if it has one.
        bos_token: the begin token, if the tokenizer has one.

    Raises:
        UserError: if `chat` is asked of a base model that has no chat template.
    """
    begin = "" if bos_token else NO_BOS
    if template != "chat":
        return begin + template_source(template)
    if not base_template:
        raise refusals.missing_chat_template()
    return base_template if base_template.startswith(DATE_PIN) else DATE_PIN + begin + base_template
