"""The model card: what the model is, how it was trained, what it scores and how to ask it, in Markdown.

Covers the wording, filled from parameters and metrics. Does not measure anything.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from src.export.card_code import Loading, loading_lines
from src.export.card_forms import forms_section
from src.export.card_metadata import CardMetadata, describe_interval, render_metadata, tuned_scores
from src.inference.engine import Sampling
from src.scoring.scores import SCORES, Score
from src.scoring.systems import SYSTEMS, TUNED

if TYPE_CHECKING:
    from src.models.base_note import BaseNote

EMBEDDED_BASE = "models/embedded"  # base.folder of the model that comes with the project
EXPORTED_ADAPTER = "models/export/adapter"
EXAMPLE_TITLE = "Tumblewright Bamboo Desk Lamp, Olive, 45 cm high"
SYNTHETIC_NOTE = "**The data is synthetic**: an invented catalogue. The figures below say nothing about real products."

# What an adapter has learnt is the difference from these weights, by how they were loaded.
LOADED = {
    "nf4": "The adapter belongs on the base in 4 bits: NF4 with double quantisation, computing in {dtype}. On the base "
    "as it is stored it answers otherwise, and that is what `AutoPeftModelForCausalLM` loads by itself.",
    "stored": "The adapter belongs on the base in 4 bits, as it is stored, computing in {dtype}.",
    "none": "The adapter belongs on the base as it is stored, computing in {dtype}. On a quantised one it answers "
    "otherwise.",
}


class ModelFacts(NamedTuple):
    """What the model was made from and how, in a reader's words."""

    base: "BaseNote"
    base_place: str
    """Where its base is: a hub's repository, or a folder of the project."""
    data: str
    language: str | None
    """ISO 639-1, where it is known."""
    template: str
    instruction: str
    question: str
    sampling: Sampling
    """How the evaluated answers were drawn."""
    embedded_base: bool
    synthetic_data: bool


def render_model_card(facts: ModelFacts, metrics: dict[str, dict[str, Any]]) -> str:
    """A model card in Markdown.

    Args:
        facts: from the parameters and the adapter's note of its base.
        metrics: what audit, train, evaluate and export measured, by the stage's name.
    """
    sections = [
        render_metadata(card_metadata(facts), metrics["evaluate"]),
        heading_section(facts),
        loading_section(facts),
        training_section(metrics["audit"], metrics["train"]),
        evaluation_section(metrics["evaluate"], facts.sampling),
        limits_section(facts, metrics["evaluate"]),
        forms_section(metrics["export"], facts.base["quantisation"]),
        usage_section(),
        licence_section(facts),
    ]
    return "\n\n".join(sections) + "\n"


def card_metadata(facts: ModelFacts) -> CardMetadata:
    """What the metadata block tells beside the scores."""
    return CardMetadata(
        base_repository=facts.base["name"] if facts.base["revision"] else None,
        dataset="shelftalk-synthetic" if facts.synthetic_data else facts.data.split(".")[0],
        language=facts.language,
        licence=facts.base["licence"],
    )


def heading_section(facts: ModelFacts) -> str:
    """What the model is, and what it was made from."""
    notes = []
    if facts.embedded_base:
        notes.append("**The base is Shelftalk's embedded model**, so small that the pipeline runs anywhere.")
    if facts.synthetic_data:
        notes.append(SYNTHETIC_NOTE)
    made_from = (
        f"- Base model: {describe_base(facts)}\n- Data: {facts.data}\n- Template: {facts.template}\n"
        f"- Method: {'LoRA' if facts.base['quantisation'] == 'none' else 'QLoRA, the base in 4-bit NF4'}"
    )
    return "\n\n".join(["# A model that describes a product from its title", *notes, made_from])


def describe_base(facts: ModelFacts) -> str:
    """The base by its name: a repository at its commit, or a folder, and the hash of the weights."""
    revision = facts.base["revision"]
    kind = f" at commit `{revision}`" if revision else ", a folder and no repository of a hub"
    return f"`{facts.base_place}`{kind}; SHA-256 of its weights `{facts.base['sha256']}`"


def loading_section(facts: ModelFacts) -> str:
    """The lines that load and ask it as it was evaluated."""
    loading = Loading(facts.base, facts.base_place, EXPORTED_ADAPTER, facts.instruction, facts.question, facts.sampling)
    loaded = LOADED[facts.base["quantisation"]].format(dtype=facts.base["dtype"])
    return (
        f"## Load it\n\n{loaded} These lines load it as it was trained and ask it as it was evaluated; put your own "
        f"places of base and adapter in:\n\n```python\n{loading_lines(loading, EXAMPLE_TITLE)}\n```"
    )


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


def describe_answers(sampling: Sampling) -> str:
    """How answers were drawn, in words."""
    penalty = f", repetition penalty {sampling.repetition_penalty}" if sampling.repetition_penalty != 1 else ""
    if sampling.temperature == 0:
        return f"greedy answers{penalty}"
    top_k = f", top-k {sampling.top_k}" if sampling.top_k else ""
    top_p = f", top-p {sampling.top_p}" if sampling.top_p < 1 else ""
    return f"answers drawn at temperature {sampling.temperature}{top_k}{top_p}{penalty}"


def evaluation_section(scores: dict[str, Any], sampling: Sampling) -> str:
    """The scores of every compared system as a table.

    Args:
        scores: metrics of the evaluate stage.
        sampling: how the models' answers were drawn.
    """
    rows = [f"| | {' | '.join(system.label for system in SYSTEMS)} |", f"|---{'|---:' * len(SYSTEMS)}|"]
    for score in (score for score in SCORES if score.in_tables):
        cells = (score_cell(scores, system.name, score) for system in SYSTEMS)
        rows.append(f"| {score.label} | {' | '.join(cells)} |")
    return (
        f"## Evaluation\n\n{scores['records']} held-out records, {describe_answers(sampling)}. Beside this model's "
        "scores stand their 95% intervals, by bootstrap over the records.\n\n" + "\n".join(rows)
    )


def score_cell(scores: dict[str, Any], system: str, score: Score) -> str:
    """A score in the table, with its interval where it is this model's.

    Args:
        scores: metrics of the evaluate stage.
        system: whose score.
        score: which.
    """
    value = scores[system][score.name]
    interval = describe_interval(scores, system, score) if system == TUNED else None
    return "–" if value is None else f"{value:.2f} ({interval})" if interval else f"{value:.2f}"


def limits_section(facts: ModelFacts, scores: dict[str, Any]) -> str:
    """What the figures do not cover, and what the model gets wrong."""
    wrong = next((f"{value:.1f}%" for score, value in tuned_scores(scores) if score.name == "facts_wrong"), "some")
    limits = [
        f"It invents: of the facts that its answers stated {wrong} were wrong. Check an answer before you publish it.",
        "It was measured on titles like those that it was trained on, and on no others.",
        f"It was measured with {describe_answers(facts.sampling)}, of at most {facts.sampling.max_new_tokens} tokens, "
        "and with no others.",
        f"The language of its data is {facts.language or 'not known: nothing filtered it'}; others were not measured.",
        "What it may have taken over from its base and its data, such as bias, was not measured.",
    ]
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits)


def usage_section() -> str:
    """How to ask the other forms."""
    return (
        "## Other programs\n\n"
        '`ollama create shelftalk -f Modelfile`, then `ollama run shelftalk "TITLE"`. The merged weights and the GGUF '
        "files need neither peft nor bitsandbytes; the chat template in the files renders the prompt it was trained on."
    )


def licence_section(facts: ModelFacts) -> str:
    """The licence of the base, or that it is not known."""
    known = facts.base["licence"]
    if not known:
        return (
            "## Licence\n\nThe base declares none that could be read, so none is given here: look it up before you "
            "publish this model, which is made from it."
        )
    named = known.get("license_name", known["license"])
    link = f" ({known['license_link']})" if "license_link" in known else ""
    return f"## Licence\n\n{named}{link}, as its base declares."
