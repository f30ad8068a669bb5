"""Writes the records of data/split into data/prompts, one prompt and completion each, in the template chosen.

Rows load with `datasets` as the prompt-completion form of trl; `uid` and `title` go along. With format.openai the same
records are also written, to data/prompts/openai, as the conversations that OpenAI's fine-tuning takes, which allows
nothing else in a row.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from src.files import atomic_folder, write_jsonl
from src.params import FormatParams, Params
from src.prompts.rendering import prompt_and_completion, prompt_turns
from src.records.parquet import FIELDS, SPLITS, count_rows, read_batches
from src.stages.runner import Outcome, run_stage

SPLIT, PROMPTS = Path("data/split"), Path("data/prompts")


def main(params: Params) -> Outcome:
    """Writes the prompts of each split, batch by batch."""
    with atomic_folder(PROMPTS) as folder:
        for split in SPLITS:
            write_jsonl(folder / f"{split}.jsonl", prompt_rows(split, params.format))
            if params.format.openai:
                write_jsonl(folder / "openai" / f"{split}.jsonl", openai_rows(split, params.format))
    also = " and as OpenAI's conversations" if params.format.openai else ""
    prompts = sum(count_rows(SPLIT / f"{split}.parquet") for split in SPLITS)
    return Outcome(f"{prompts:,} prompts in the {params.format.template} template{also}")


def read_split(split: str) -> Iterator[tuple[str, str, str]]:
    """Uid, title and content of each record in a split."""
    for batch in read_batches(SPLIT / f"{split}.parquet", FIELDS):
        yield from batch.iter_rows()


def prompt_rows(split: str, chosen: FormatParams) -> Iterator[dict[str, Any]]:
    """Each record as prompt and completion.

    Args:
        split: train, validation or test.
        chosen: the section format.
    """
    for uid, title, content in read_split(split):
        asked = prompt_turns(chosen.instruction, chosen.question, title)
        yield {"uid": uid, "title": title} | prompt_and_completion(chosen.template, asked, content)


def openai_rows(split: str, chosen: FormatParams) -> Iterator[dict[str, Any]]:
    """Each record as OpenAI's fine-tuning takes it: the turns of system, user and assistant, nothing else.

    Args:
        split: train, validation or test.
        chosen: the section format.
    """
    for _, title, content in read_split(split):
        asked = prompt_turns(chosen.instruction, chosen.question, title)
        yield {"messages": [*asked, {"role": "assistant", "content": content}]}


if __name__ == "__main__":
    run_stage(main)
