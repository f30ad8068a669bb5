"""format: data/split/*.parquet -> data/prompts/{train,validation,test}.jsonl[, data/prompts/openai/]

One prompt and completion for each record, in the template that format.template names. Rows load with `datasets` as the
prompt-completion form of trl; `uid` and `title` go along. With format.openai the same records are also written as the
conversations that OpenAI's fine-tuning takes, which allows nothing else in a row.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from src.files import atomic_folder, write_jsonl
from src.params import FormatParams, Params
from src.prompts.rendering import prompt_and_completion, prompt_turns
from src.records.parquet import FIELDS, read_batches
from src.stages.runner import run_stage

SPLIT, PROMPTS = Path("data/split"), Path("data/prompts")
SIDES = ("train", "validation", "test")


def main(params: Params) -> None:
    """Writes the prompts of each side of the split, batch by batch."""
    with atomic_folder(PROMPTS) as folder:
        for side in SIDES:
            write_jsonl(folder / f"{side}.jsonl", prompt_rows(side, params.format))
            if params.format.openai:
                write_jsonl(folder / "openai" / f"{side}.jsonl", openai_rows(side, params.format))
    also = " and as OpenAI's conversations" if params.format.openai else ""
    print(f"Prompts of {', '.join(SIDES)} written in the {params.format.template} template{also}.")


def read_split(side: str) -> Iterator[tuple[str, str, str]]:
    """Uid, title and content of each record on a side."""
    for batch in read_batches(SPLIT / f"{side}.parquet", FIELDS):
        yield from batch.iter_rows()


def prompt_rows(side: str, chosen: FormatParams) -> Iterator[dict[str, Any]]:
    """Each record of a side as prompt and completion, in the template chosen."""
    for uid, title, content in read_split(side):
        asked = prompt_turns(chosen.instruction, chosen.question, title)
        yield {"uid": uid, "title": title} | prompt_and_completion(chosen.template, asked, content)


def openai_rows(side: str, chosen: FormatParams) -> Iterator[dict[str, Any]]:
    """Each record of a side as OpenAI's fine-tuning takes it: the turns of system, user and assistant, nothing else."""
    for _, title, content in read_split(side):
        asked = prompt_turns(chosen.instruction, chosen.question, title)
        yield {"messages": [*asked, {"role": "assistant", "content": content}]}


if __name__ == "__main__":
    run_stage(main)
