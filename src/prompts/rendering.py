"""Prompt and completion of a record, in the template chosen, as text.

Covers the three templates, the pinned date and the template that travels with an adapter. Every template is a Jinja
chat template, so that training, generation, llama.cpp and Ollama render the same bytes: `chat` is the base model's own,
`alpaca` and `plain` are files beside this one. Does not cover tokens: encoding.py does.
"""

from functools import cache
from pathlib import Path
from typing import Any, Literal

from src.errors import UserError

TemplateName = Literal["chat", "alpaca", "plain"]
Turns = list[dict[str, str]]

TEMPLATES = Path(__file__).parent / "templates"

# The day that Llama 3.2's own template falls back on. Left alone it stamps today's date into every prompt, so that
# prompts would change overnight.
PINNED_DATE = "26 Jul 2024"
DATE_PIN = f'{{%- set date_string = "{PINNED_DATE}" -%}}\n'


def prompt_turns(instruction: str, question: str, title: str) -> Turns:
    """The system and user turns that ask for the description of `title`; `question` holds {title} once."""
    return [
        {"role": "system", "content": instruction},
        {"role": "user", "content": question.replace("{title}", title)},
    ]


def prompt_and_completion(template: TemplateName, asked: Turns, answer: str) -> dict[str, Any]:
    """A record in the form that trl and `datasets` call prompt-completion: lists of turns for `chat`, else strings.

    The strings lack the begin and end tokens, which only a tokenizer knows.
    """
    answered = [{"role": "assistant", "content": answer}]
    if template == "chat":
        return {"prompt": asked, "completion": answered}
    prompt = render_file(template, asked, add_generation_prompt=True)
    return {"prompt": prompt, "completion": render_file(template, asked + answered).removeprefix(prompt)}


def reference_text(record: dict[str, Any]) -> str:
    """The answer that a formatted record holds, as text."""
    completion = record["completion"]
    return completion if isinstance(completion, str) else completion[0]["content"]


def text_contents(record: dict[str, Any]) -> list[str]:
    """All text of a formatted record: what its turns hold, or prompt and completion where those are text."""
    prompt, completion = record["prompt"], record["completion"]
    return [prompt, completion] if isinstance(prompt, str) else [turn["content"] for turn in prompt + completion]


def render_file(template: TemplateName, messages: Turns, add_generation_prompt: bool = False) -> str:
    """Turns rendered by one of the template files, without begin and end tokens."""
    return compile_template(template).render(
        messages=messages, add_generation_prompt=add_generation_prompt, bos_token="", eos_token=""
    )


@cache
def compile_template(template: TemplateName) -> Any:
    """A template file, compiled with the settings that transformers compiles chat templates with."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(template_source(template))


def template_source(template: TemplateName) -> str:
    """The text of a template file."""
    return (TEMPLATES / f"{template}.jinja").read_text(encoding="utf-8")


def saved_chat_template(template: TemplateName, base_template: str | None) -> str:
    """The Jinja chat template that goes with the adapter and into the GGUF, its date pinned.

    Raises:
        UserError: if `chat` is asked of a base model that has no chat template.
    """
    if template != "chat":
        return template_source(template)
    if not base_template:
        raise UserError(
            "format.template is 'chat', and the base model has no chat template: "
            "set format.template to alpaca or plain, or choose an Instruct model as the base."
        )
    return base_template if base_template.startswith(DATE_PIN) else DATE_PIN + base_template


def ollama_template(tokenizer: Any, question: str) -> str:
    """The Go template that makes Ollama render the prompt a model was trained on; the user types the title alone.

    Ollama adds the begin-of-text token itself, so it is left out.
    """
    from src.prompts.encoding import render_turns

    asked = prompt_turns("{{ .System }}", question, "{{ .Prompt }}")
    return render_turns(tokenizer, asked, add_generation_prompt=True).removeprefix(tokenizer.bos_token or "")
