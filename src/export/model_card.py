"""The texts that travel with an exported model: Ollama's Modelfile and the model card.

Covers their wording, filled from parameters and metrics. Does not measure anything.
"""

from typing import Any, NamedTuple

SYSTEMS = {"base": "base model", "tuned": "this model", "nearest": "nearest-title copy"}
SCORES = {
    "answer_loss": "answer loss (nats a token)",
    "perplexity": "perplexity",
    "bleu": "BLEU",
    "chrf": "chrF",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
}


class CardFacts(NamedTuple):
    """What the model was made from and how, in a card reader's words."""

    base: str
    data: str
    template: str
    instruction: str
    question: str
    four_bit: bool
    tiny_base: bool
    invented_data: bool


def render_modelfile(gguf: str, template: str, instruction: str, stops: list[str], max_tokens: int) -> str:
    """An Ollama Modelfile: the trained template, its system turn, its stop tokens, greedy answers."""
    lines = [f"FROM ./{gguf}", f'TEMPLATE """{template}"""', f'SYSTEM """{instruction}"""']
    lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    lines += ["PARAMETER temperature 0", f"PARAMETER num_predict {max_tokens}"]
    return "\n".join(lines) + "\n"


def render_model_card(recipe: CardFacts, metrics: dict[str, Any]) -> str:
    """A model card in Markdown, from the metrics of audit, train and evaluate."""
    return (
        "\n\n".join(
            [
                card_heading(recipe),
                training_section(metrics),
                evaluation_section(metrics["evaluate"]),
                usage_section(recipe),
                "",
            ]
        ).rstrip()
        + "\n"
    )


def card_heading(recipe: CardFacts) -> str:
    """What the model is, and what it was made from."""
    notes = [
        "**The base is Shelftalk's embedded tiny model**, made so that the pipeline runs anywhere.\n\n",
        "**The data is synthetic**: an invented catalogue. The figures below say nothing about real products.\n\n",
    ]
    shown = [note for note, true in zip(notes, (recipe.tiny_base, recipe.invented_data), strict=True) if true]
    return (
        "---\nlibrary_name: peft\npipeline_tag: text-generation\ntags: [lora, product-descriptions]\n---\n\n"
        f"# A model that describes a product from its title\n\n{''.join(shown)}"
        f"- Base model: {recipe.base}\n- Data: {recipe.data}\n- Template: {recipe.template}\n"
        f"- Method: {'QLoRA, the base in 4-bit NF4' if recipe.four_bit else 'LoRA'}"
    )


def training_section(metrics: dict[str, Any]) -> str:
    """How it was trained, and that it was."""
    audit, train = metrics["audit"], metrics["train"]
    return (
        "## Training\n\n"
        f"{train['records']:,} records in {train['steps']:,} steps; the loss is on the answers alone "
        f"({audit['trained_token_share']:.0%} of the tokens). {train['trainable_parameters']:,} trained parameters; "
        f"all {train['b_matrices']} of LoRA's B matrices moved. "
        f"Validation loss {train['validation_loss_first']:.3f} before, {train['validation_loss_kept']:.3f} after."
    )


def evaluation_section(scores: dict[str, Any]) -> str:
    """The scores of base, tuned and nearest-title copy as a table."""
    rows = [f"| | {' | '.join(SYSTEMS.values())} |", f"|---{'|---:' * len(SYSTEMS)}|"]
    for key, name in SCORES.items():
        values = (scores[system][key] for system in SYSTEMS)
        rows.append(f"| {name} | {' | '.join('–' if value is None else f'{value:.2f}' for value in values)} |")
    return f"## Evaluation\n\n{scores['records']} held-out records, greedy answers.\n\n" + "\n".join(rows)


def usage_section(recipe: CardFacts) -> str:
    """How to ask it."""
    return (
        "## Use\n\n"
        '`ollama create shelftalk -f Modelfile`, then `ollama run shelftalk "TITLE"`. In a library, the chat template '
        f"in the files renders the prompt it was trained on: system turn `{recipe.instruction}`, user turn "
        f"`{recipe.question}`."
    )
