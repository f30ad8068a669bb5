"""The model card: what the model is, how it was trained, what it scores and how to ask it, in Markdown.

Covers the wording, filled from parameters and metrics. Does not measure anything.
"""

from typing import Any, NamedTuple

from src.scoring.scores import SCORES
from src.scoring.systems import SYSTEMS

EMBEDDED_BASE = "models/embedded"  # base.folder of the model that comes with the project
GGUF_NAMES = {"f16": "16 bits", "q8_0": "8 bits (Q8_0)"}

# What model hubs read: the library that loads the adapter, the task, and tags to find it by.
FRONT_MATTER = "---\nlibrary_name: peft\npipeline_tag: text-generation\ntags: [lora, product-descriptions]\n---"


class ModelFacts(NamedTuple):
    """What the model was made from and how, in a reader's words."""

    base: str
    data: str
    template: str
    instruction: str
    question: str
    four_bit: bool
    embedded_base: bool
    synthetic_data: bool


def render_model_card(facts: ModelFacts, metrics: dict[str, dict[str, Any]]) -> str:
    """A model card in Markdown.

    Args:
        facts: from the parameters.
        metrics: what audit, train, evaluate and export measured, by the stage's name.
    """
    sections = [
        FRONT_MATTER,
        heading_section(facts),
        training_section(metrics["audit"], metrics["train"]),
        evaluation_section(metrics["evaluate"]),
        parity_section(metrics["export"]),
        usage_section(facts),
    ]
    return "\n\n".join(sections) + "\n"


def heading_section(facts: ModelFacts) -> str:
    """What the model is, and what it was made from."""
    notes = []
    if facts.embedded_base:
        notes.append("**The base is Shelftalk's embedded model**, so small that the pipeline runs anywhere.")
    if facts.synthetic_data:
        notes.append(
            "**The data is synthetic**: an invented catalogue. The figures below say nothing about real products."
        )
    made_from = (
        f"- Base model: {facts.base}\n- Data: {facts.data}\n- Template: {facts.template}\n"
        f"- Method: {'QLoRA, the base in 4-bit NF4' if facts.four_bit else 'LoRA'}"
    )
    return "\n\n".join(["# A model that describes a product from its title", *notes, made_from])


def training_section(audit: dict[str, Any], train: dict[str, Any]) -> str:
    """How it was trained, and that it was.

    Args:
        audit: metrics of the audit stage.
        train: metrics of the train stage.
    """
    return (
        "## Training\n\n"
        f"{train['records']:,} records in {train['steps']:,} steps; the loss is on the answers alone "
        f"({audit['trained_token_share']:.0%} of the tokens). {train['trainable_parameters']:,} trained parameters; "
        f"all {train['b_matrices']} of LoRA's B matrices moved. "
        f"Validation loss {train['validation_loss_first']:.3f} before, {train['validation_loss_kept']:.3f} after."
    )


def evaluation_section(scores: dict[str, Any]) -> str:
    """The scores of every compared system as a table."""
    rows = [f"| | {' | '.join(system.label for system in SYSTEMS)} |", f"|---{'|---:' * len(SYSTEMS)}|"]
    for score in (score for score in SCORES if score.in_tables):
        values = (scores[system.name][score.name] for system in SYSTEMS)
        rows.append(f"| {score.label} | {' | '.join('–' if value is None else f'{value:.2f}' for value in values)} |")
    return f"## Evaluation\n\n{scores['records']} held-out records, greedy answers.\n\n" + "\n".join(rows)


def parity_section(export: dict[str, Any]) -> str:
    """How the exported forms answer beside the adapter."""
    shares = [f"- GGUF in {name}: {export[f'gguf_{key}_agreement']:.0%}" for key, name in GGUF_NAMES.items()]
    return (
        "## Exported forms\n\n"
        f"llama.cpp reads all {export['prompts_read']} held-out prompts in exactly the tokens of training. "
        f"Answers were checked on {export['prompts']} of them. Merging changed the loss of an answer by "
        f"{export['merged_loss_difference']:.6f} nats a token at most. llama.cpp gives exactly the merged model's "
        "answers to these shares of the prompts; the others differ where it finds two tokens about equally likely:\n\n"
        + "\n".join(shares)
        + f"\n\nThe Modelfile takes the one in {GGUF_NAMES[export['modelfile']]}, the smallest that answers hardly "
        "otherwise than the one in 16 bits."
    )


def usage_section(facts: ModelFacts) -> str:
    """How to ask it."""
    return (
        "## Use\n\n"
        '`ollama create shelftalk -f Modelfile`, then `ollama run shelftalk "TITLE"`. In a library, the chat template '
        f"in the files renders the prompt it was trained on: system turn `{facts.instruction}`, user turn "
        f"`{facts.question}`."
    )
