"""Stands in for the stages of a scratch project: made-up products, loss curves and answers, by a few parameters.

A tenth of the usual learning rate loses words and makes figures up. The alpaca template keeps more words, at a higher
loss. Runs in the scratch project, with a copy of src/ beside it.
"""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
from ruamel.yaml import YAML

from src.files import write_json, write_tsv
from src.scoring.generations import Generation, write_generations
from src.scoring.judgements import Judgements, write_judgements

RECORDS = 80
USUAL_RATE = 1e-3
ADAPTER = "models/adapter/adapter.json"
KINDS = ("lamp", "kettle", "bench", "clock", "mirror")
MATERIALS = ("oak", "brass", "linen", "glass")
ODD = "A title with | <script>alert(1)</script> `ticks` @octocat #1"
ODD_ANSWER = "| a | b |\n\n<script>alert(2)</script> ``` @octocat fixes #1 \\| <!-- [x](http://a.example) \u202e"


def products(prefix: str, count: int) -> Iterator[dict[str, str]]:
    """Products with a title and a description that follows from it."""
    drawn = random.Random(prefix)
    for number in range(count):
        kind, material, size = drawn.choice(KINDS), drawn.choice(MATERIALS), drawn.randint(10, 99)
        yield {
            "uid": f"{prefix}{number:04}",
            "title": f"Larkpuddle {material} {kind}, {size} cm",
            "topic": f"{KINDS.index(kind)}: {kind}",
            "content": f"This {kind} by Larkpuddle is made of {material} and stands {size} cm high. "
            f"It looks well in any room, and the {material} keeps for {drawn.randint(2, 9)} years.",
        }


def split() -> None:
    """Writes the records; one has an odd title."""
    held_out = [
        *products("test", RECORDS - 1),
        {"uid": "odd", "title": ODD, "topic": "0: lamp", "content": "A plain lamp, 30 cm."},
    ]
    Path("data/split").mkdir(parents=True, exist_ok=True)
    pl.DataFrame(list(products("train", 200))).write_parquet("data/split/train.parquet")
    pl.DataFrame(held_out).write_parquet("data/split/test.parquet")
    write_json("data/reports/sample.json", {"train": 200, "validation": 20, "test": RECORDS})
    write_judgements("data/judgements.json", Judgements(judge="", model="", judgements=[]))


def train(params: dict[str, Any]) -> None:
    """Writes loss curves, and a model that is nothing but its parameters."""
    rate = params["train"]["lr"]
    for name, offset in (("training", 0.0), ("validation", 0.1)):
        points = ({"step": step, "epoch": step / 20, "loss": round(loss(rate, step) + offset, 4)} for step in range(21))
        write_tsv(f"data/tables/train/{name}.tsv", list(points))
    write_json(ADAPTER, {"rate": rate, "template": params["format"]["template"]})


def loss(rate: float, step: int) -> float:
    """The loss after so many steps."""
    return 1 + 2 * (1 - min(1.0, 300 * rate) / 2) ** (step / 3)


def generate(system: str, params: dict[str, Any]) -> None:
    """Writes a system's answers; the base understands the alpaca template a little better."""
    base = (0.3 if params["format"]["template"] == "chat" else 0.4, 0.5, 2.0)
    kept, wrong, nats = base if system != "tuned" else quality(json.loads(Path(ADAPTER).read_text()))
    rows = pl.read_parquet("data/split/test.parquet").iter_rows(named=True)
    write_generations(f"data/generations/{system}.jsonl", (answer(row, kept, wrong, nats) for row in rows))


def quality(model: dict[str, Any]) -> tuple[float, float, float]:
    """The shares of words that are kept and of figures that are made up, and the loss in nats a token."""
    if model["template"] == "alpaca":
        return 0.97, 0.0, 1.3
    return (0.85, 0.1, 1.1) if model["rate"] >= USUAL_RATE else (0.6, 0.4, 1.4)


def answer(row: dict[str, str], kept: float, wrong: float, nats: float) -> Generation:
    """A made-up answer to a record.

    Args:
        row: the record.
        kept: share of the description's words.
        wrong: share of figures that are made up.
        nats: loss a token.
    """
    drawn = random.Random(row["uid"] + str(kept))
    words = [word if drawn.random() < kept else "" for word in row["content"].split()]
    words = [str(drawn.randint(100, 999)) if word.isdigit() and drawn.random() < wrong else word for word in words]
    text = " ".join(word for word in words if word)
    return Generation(
        uid=row["uid"],
        title=row["title"],
        prompt=f"Describe {row['title']}",
        answer=f"{ODD_ANSWER} {text}" if row["uid"] == "odd" and kept != 0.85 else text,
        reference=row["content"],
        finish_reason="stop",
        prompt_tokens=8,
        tokens=len(words),
        loss=round(30 * nats * (1 + drawn.random() / 20), 6),
        loss_tokens=30,
    )


if __name__ == "__main__":
    stage, *rest = sys.argv[1:]
    parameters = YAML(typ="safe").load(Path("params.yaml"))
    {"split": split, "train": lambda: train(parameters), "generate": lambda: generate(rest[0], parameters)}[stage]()
