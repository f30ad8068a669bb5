"""The section of a model card on the exported forms: a table that a person chooses from.

Covers the forms that the export stage measured, and what it costs to serve on another base. Does not measure anything.
"""

from typing import Any

from src.export.forms import BY_NAME

MEGABYTE = 10**6  # bytes


def forms_section(export: dict[str, Any], quantisation: str) -> str:
    """The forms beside one another, and how they were checked.

    Args:
        export: metrics of the export stage.
        quantisation: how the base was held in training, as the adapter's note tells it.
    """
    head = "| form | files | for | size (MB) | answers like the adapter | loss against 16 bits (95% interval) |"
    rows = [head, "|---|---|---|---:|---:|---:|", *(form_row(name, form) for name, form in export["forms"].items())]
    checked = (
        f"llama.cpp reads all {export['prompts_read']} held-out prompts in exactly the tokens of training. Each form "
        f"was loaded again and compared on {export['prompts']} of them: the share of prompts that it answers with "
        "exactly the adapter's tokens, and its loss on the references, in nats a token, minus that of the GGUF in 16 "
        "bits. Where two tokens are about equally likely, rounding turns one into the other."
    )
    return "\n\n".join(["## Exported forms", checked, "\n".join(rows), merging_words(export, quantisation)])


def form_row(name: str, form: dict[str, Any]) -> str:
    """A form's row of the table.

    Args:
        name: as export.formats has it.
        form: its figures.
    """
    words = BY_NAME[name]
    low, high = form["loss_difference_low"], form["loss_difference_high"]
    loss = f"{form['loss_difference']:+.4f} ({low:+.4f} to {high:+.4f})"
    size = f"{form['bytes'] / MEGABYTE:,.1f}"
    files = ", ".join(f"`{file}`" for file in words.files)
    return f"| {words.label} | {files} | {words.programs} | {size} | {form['agreement']:.0%} | {loss} |"


def merging_words(export: dict[str, Any], quantisation: str) -> str:
    """What merging changed, what another base costs, and which file the Modelfile takes.

    Args:
        export: metrics of the export stage.
        quantisation: how the base was held in training.
    """
    sentences = [
        f"Merging changed the loss of an answer by {export['merged_loss_difference']:.6f} nats a token at most."
    ]
    if quantisation == "nf4":
        sentences.append(other_base_words(export.get("merged_16bit_loss_difference")))
    sentences.append(f"The Modelfile takes the {BY_NAME[export['modelfile']].label}.")
    return " ".join(sentences)


def other_base_words(difference: float | None) -> str:
    """What it costs to serve the adapter on the 16-bit base, where it was trained on that base in 4 bits.

    Args:
        difference: of the losses, in nats a token; None where it was not measured.
    """
    if difference is None:
        return "What it costs to serve the adapter on the 16-bit base instead of the 4-bit one was not measured."
    change = "raises" if difference > 0 else "lowers"
    return (
        "The forms hold the 4-bit base that the adapter was trained on, dequantised. Serving the adapter on the 16-bit "
        f"base instead {change} the loss of the references by {abs(difference):.4f} nats a token."
    )
