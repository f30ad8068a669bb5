"""Shows one held-out product with the answers of both models, next to README's picture.

Covers docs/example.json, which holds the answers and the digests of the files they are from: the answers themselves are
in DVC's cache and not in git, and dvc.lock tells whether those on show are still the ones that the pipeline gives.
"""

from pathlib import Path
from typing import Any

from src.errors import UserError
from src.files import read_json, read_jsonl, write_json
from src.params import read_yaml

EXAMPLE, LOCK = Path("docs/example.json"), Path("dvc.lock")
GENERATIONS = {system: Path(f"data/generations/{system}.jsonl") for system in ("base", "tuned")}
ROWS = {"title": "title", "base": "base model", "tuned": "fine-tuned model", "reference": "the catalogue's own text"}


def generation_digests() -> dict[str, str]:
    """The MD5 of each file of answers, as dvc.lock has it."""
    stages = read_yaml(LOCK)["stages"]
    outs = [out for system in GENERATIONS for out in stages[f"generate@{system}"]["outs"]]
    digests = {out["path"]: str(out["md5"]) for out in outs}
    return {system: digests[str(path)] for system, path in GENERATIONS.items()}


def update_example() -> None:
    """Writes the example anew where the pipeline's answers are on the disk: the first held-out product, unpicked."""
    if not all(path.exists() for path in GENERATIONS.values()):
        return
    first: dict[str, dict[str, Any]] = {system: read_jsonl(path)[0] for system, path in GENERATIONS.items()}
    answers = {system: generation["answer"] for system, generation in first.items()}
    shared = {field: first["base"][field] for field in ("title", "reference")}
    write_json(EXAMPLE, {"generations": generation_digests(), **shared, **answers})


def example_table() -> str:
    """The example as a table in Markdown.

    Raises:
        UserError: if it is from other answers than dvc.lock names.
    """
    example = read_json(EXAMPLE)
    if example["generations"] != generation_digests():
        raise UserError(f"{EXAMPLE} is from other answers than {LOCK} names: run `dvc repro`, then `make docs`.")
    rows = [f"| {name} | {example[key].replace('|', '&#124;')} |" for key, name in ROWS.items()]
    return "\n".join(["| | |", "|---|---|", *rows])
