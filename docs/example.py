"""Shows one held-out product with the answers of both models, below README's picture.

Covers the first of the examples that the evaluate stage has committed: nobody picks it.
"""

from pathlib import Path

from src.files import read_tsv

EXAMPLES = Path("plots/evaluate/examples.tsv")
ROWS = {"title": "title", "base": "base model", "tuned": "fine-tuned model", "reference": "the catalogue's own text"}


def example_table() -> str:
    """The example as a table in Markdown."""
    first = {row["source"]: row["text"] for row in read_tsv(EXAMPLES) if row["record"] == "1"}
    rows = [f"| {name} | {table_cell(first[source])} |" for source, name in ROWS.items()]
    return "\n".join(["| | |", "|---|---|", *rows])


def table_cell(text: str) -> str:
    """A text as a cell of a table, without a character that Markdown or HTML would read as its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;")
