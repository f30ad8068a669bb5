"""The model card of a hosted model: there are no files to load, so it tells where the model is and how it is asked.

Covers the sections that differ from those of a model with weights; the others are model_card.py's.
"""

import json
from typing import Any

from src.export.model_card import EXAMPLE_TITLE, ModelFacts, evaluation_section, limits_section
from src.inference.engine import Sampling

ASK = """from openai import OpenAI

client = OpenAI(base_url={address}, api_key="YOUR KEY")
turns = [
    {{"role": "system", "content": {instruction}}},
    {{"role": "user", "content": {question}}},
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
    notes = []
    if facts.synthetic_data:
        notes.append(
            "**The data is synthetic**: an invented catalogue. The figures below say nothing about real products."
        )
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
    quoted = {
        "address": export["address"],
        "model": export["model"],
        "instruction": facts.instruction,
        "question": facts.question.replace("{title}", EXAMPLE_TITLE),
    }
    lines = ASK.format(
        **{name: json.dumps(text, ensure_ascii=False) for name, text in quoted.items()},
        options=sampling_arguments(facts.sampling),
    )
    turns = "" if facts.template == "chat" else " It was trained on the template's text as one turn of a user."
    return f"## Ask it\n\nNothing can be loaded. These lines ask it.{turns}\n\n```python\n{lines}\n```"


def sampling_arguments(sampling: Sampling) -> str:
    """How the answers were drawn, as arguments of the client."""
    drawn = f", top_p={sampling.top_p}, seed={sampling.seed}" if sampling.temperature > 0 else ""
    return f"max_tokens={sampling.max_new_tokens}, temperature={sampling.temperature}{drawn}"


def training_section(train: dict[str, Any]) -> str:
    """How it was trained, as the service tells it."""
    first, last = train["validation_loss_first"], train["validation_loss_kept"]
    loss = f"Validation loss {first:.3f} when first told, {last:.3f} at last." if last is not None else ""
    rounds = f" in {train['rounds']} rounds" if train["rounds"] > 1 else ""
    return (
        f"## Training\n\n{train['records']:,} records{rounds}, {train['steps']:,} steps, {train['trained_tokens']:,} "
        f"trained tokens as the service counts them. {loss}"
    ).rstrip()
