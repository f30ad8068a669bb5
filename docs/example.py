"""Shows one held-out product with the answers of both models, below README's picture.

Covers docs/example.json, a copy of what the pipeline wrote, since prompts and answers are in DVC's cache, not in git.
The copy names the prompts it is from, and dvc.lock shows whether they are still the project's. It cannot show that of
the answers: their wording depends on the processor, so that another machine's answers would never match.
"""

from hashlib import md5
from pathlib import Path

from src.errors import UserError
from src.files import read_json, read_jsonl, write_json
from src.params import read_yaml

EXAMPLE, LOCK, PROMPTS = Path("docs/example.json"), Path("dvc.lock"), Path("data/prompts/test.jsonl")
ANSWERS = {system: Path(f"data/generations/{system}.jsonl") for system in ("base", "tuned")}
ROWS = {"title": "title", "base": "base model", "tuned": "fine-tuned model", "reference": "the catalogue's own text"}


def update_example() -> None:
    """Writes the example again, the first held-out product, where the pipeline's results are on the disk."""
    if not all(path.exists() for path in (PROMPTS, *ANSWERS.values())):
        return
    first = {system: read_jsonl(path)[0] for system, path in ANSWERS.items()}
    texts = {field: first["base"][field] for field in ("title", "reference")}
    answers = {system: row["answer"] for system, row in first.items()}
    write_json(EXAMPLE, {"prompts_md5": md5(PROMPTS.read_bytes()).hexdigest(), **texts, **answers})


def locked_prompts() -> str:
    """The MD5 of the test prompts, as dvc.lock has it."""
    inputs = read_yaml(LOCK)["stages"]["generate@base"]["deps"]
    return next(str(entry["md5"]) for entry in inputs if entry["path"] == str(PROMPTS))


def example_table() -> str:
    """The example as a table in Markdown.

    Raises:
        UserError: if it is from other prompts than the project's.
    """
    example = read_json(EXAMPLE)
    if example["prompts_md5"] != locked_prompts():
        raise UserError(f"{EXAMPLE} is from other prompts than {LOCK} names: run `dvc repro`, then `make docs`.")
    rows = [f"| {name} | {table_cell(example[key])} |" for key, name in ROWS.items()]
    return "\n".join(["| | |", "|---|---|", *rows])


def table_cell(text: str) -> str:
    """A text as a cell of a table: on one line, and without a character that Markdown or HTML would read as its own."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;")
    return " ".join(escaped.split())
