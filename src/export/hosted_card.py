"""The model card of a hosted model: there are no files to load, so it tells where the model is and how it is asked.

Covers the sections that differ from those of a model with weights; the others are model_card.py's.
"""

import json
from typing import Any, cast

from src.export.card_code import quoted
from src.export.model_card import EXAMPLE_TITLE, SYNTHETIC_NOTE, ModelFacts, evaluation_section, limits_section
from src.inference.endpoint import as_turns, sampling_options
from src.params import TemplateName
from src.prompts.rendering import prompt_and_completion, prompt_turns

ASK = """from openai import OpenAI

client = OpenAI(base_url={address}, api_key="YOUR KEY")
turns = [
{turns}
]
answer = client.chat.completions.create(model={model}, messages=turns, {options})
print(answer.choices[0].message.content)"""


def render_hosted_card(facts: ModelFacts, metrics: dict[str, dict[str, Any]]) -> str:
    """A model card in Markdown.

    Args:
        facts: from the parameters and the adapter's note of its base.
        metrics: what train, evaluate and export measured or wrote, by the stage's name.
    """
    train = metrics["train"]
    sections = [
        heading_section(facts, train),
        asking_section(facts, metrics["export"]),
        training_section(train),
        evaluation_section(metrics["evaluate"], facts.sampling),
        limits_section(facts, metrics["evaluate"]),
        "## Exported forms\n\nNone: a service trained the model and keeps its weights.",
        "## Licence\n\nWhat the terms of the service allow.",
    ]
    return "\n\n".join(sections) + "\n"


def heading_section(facts: ModelFacts, train: dict[str, Any]) -> str:
    """What the model is, and what it was made from.

    Args:
        facts: from the parameters.
        train: metrics of the train stage.
    """
    notes = [SYNTHETIC_NOTE] if facts.synthetic_data else []
    made_from = (
        f"- Model: `{train['fine_tuned_model']}`, hosted\n- Tuned from: `{train['base']}`\n- Data: {facts.data}\n"
        f"- Template: {facts.template}\n- Method: supervised fine-tuning by a service"
    )
    return "\n\n".join(["# A hosted model that describes a product from its title", *notes, made_from])


def asking_section(facts: ModelFacts, export: dict[str, Any]) -> str:
    """The lines that ask it as it was evaluated.

    Args:
        facts: from the parameters.
        export: what the export stage wrote: the model and where it is.
    """
    asked = prompt_turns(facts.instruction, facts.question, EXAMPLE_TITLE)
    turns = as_turns(prompt_and_completion(cast(TemplateName, facts.template), asked, "")["prompt"])
    lines = ASK.format(
        address=quoted(export["address"]),
        model=quoted(export["model"]),
        turns="\n".join(f"    {json.dumps(turn, ensure_ascii=False)}," for turn in turns),
        options=", ".join(f"{name}={value!r}" for name, value in sampling_options(facts.sampling).items()),
    )
    return f"## Ask it\n\nThere is nothing to load. These lines ask it as it was evaluated:\n\n```python\n{lines}\n```"


def training_section(train: dict[str, Any]) -> str:
    """How it was trained, as the service tells it."""
    first, last = train["validation_loss_first"], train["validation_loss_kept"]
    loss = f"Validation loss {first:.3f} when first told, {last:.3f} at last." if last is not None else ""
    rounds = f" in {train['rounds']} rounds" if train["rounds"] > 1 else ""
    return (
        f"## Training\n\n{train['records']:,} records{rounds}, {train['steps']:,} steps, {train['trained_tokens']:,} "
        f"trained tokens as the service counts them. {loss}"
    ).rstrip()
