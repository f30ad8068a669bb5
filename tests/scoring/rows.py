"""A row of data/generations/*.jsonl that tests of the scores change."""

from typing import Any

from src.scoring.generations import Generation

ROW = {
    "uid": "0001360000",
    "title": "A lamp",
    "prompt": "Describe it.",
    "answer": "",
    "reference": "A lamp of brass.",
    "finish_reason": "stop",
    "prompt_tokens": 5,
    "tokens": 0,
    "loss": 6.0,
    "loss_tokens": 4,
}


def generation(**changes: Any) -> Generation:
    return Generation(**{**ROW, **changes})
