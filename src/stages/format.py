"""Writes the records of data/split into data/prompts, one prompt and completion each, in the template chosen.

Rows load with `datasets` as the prompt-completion form of trl; `uid` and `title` go along. With format.context
retrieved a prompt also shows the training records of the nearest titles, which stand beside it as `context`: never the
record itself, nor one that shares its title or its description. With format.openai the same records are also written,
to data/prompts/openai, as the conversations that OpenAI's fine-tuning takes, which allows nothing else in a row.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from src.files import atomic_folder, write_jsonl
from src.params import FormatParams, Params
from src.progress import progress_bar
from src.prompts.rendering import context_entry, prompt_and_completion, record_turns
from src.records.parquet import FIELDS, SPLITS, count_rows, read_batches
from src.records.ties import tied_uids
from src.serving.context import find_context
from src.serving.index import write_index
from src.serving.search import TitleIndex
from src.stages.runner import Outcome, run_stage

SPLIT, PROMPTS = Path("data/split"), Path("data/prompts")
MOST_TIED = 1_000  # records that one is tied to, from which on it has no context: a title of so many names no product

# From a record's uid and title to the context of its prompt.
FindContext = Callable[[str, str], list[str]]


def main(params: Params) -> Outcome:
    """Writes the prompts of each split, batch by batch."""
    prompts = sum(count_rows(SPLIT / f"{split}.parquet") for split in SPLITS)
    with atomic_folder(PROMPTS) as folder, context_finder(params, folder, prompts) as find:
        for split in SPLITS:
            file = folder / f"{split}.jsonl"
            write_jsonl(file, prompt_rows(split, params.format, find))
            if params.format.openai:
                write_jsonl(folder / "openai" / f"{split}.jsonl", openai_rows(split, params.format, file))
    also = " and as OpenAI's conversations" if params.format.openai else ""
    return Outcome(f"{prompts:,} prompts in the {params.format.template} template{also}")


@contextmanager
def context_finder(params: Params, folder: Path, prompts: int) -> Iterator[FindContext | None]:
    """Yields what finds the context of a prompt among the training records; None where prompts have none.

    Args:
        params: the parameters.
        folder: where the index of the training records is while it is needed.
        prompts: how many there will be.

    Raises:
        UserError: if the training records cannot be read.
    """
    form = params.format
    if form.context == "none":
        yield None
        return
    read = partial(read_batches, SPLIT / "train.parquet")
    tied = tied_uids(read, params.clean.near_threshold)
    with TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "index.sqlite"
        write_index(path, read(FIELDS, "Indexing"))
        index = TitleIndex(path)

        def find(uid: str, title: str) -> list[str]:
            bar.update()
            excluded = tied.get(uid, frozenset([uid]))
            hits = find_context(index, title, form.context_records, excluded) if len(excluded) < MOST_TIED else []
            return [context_entry(hit.title, hit.text, form.context_chars) for hit in hits]

        with progress_bar("Searching", prompts, "records") as bar:
            yield find


def read_split(split: str) -> Iterator[tuple[str, str, str]]:
    """Uid, title and content of each record in a split."""
    for batch in read_batches(SPLIT / f"{split}.parquet", FIELDS):
        yield from batch.iter_rows()


def prompt_rows(split: str, chosen: FormatParams, find: FindContext | None) -> Iterator[dict[str, Any]]:
    """Each record as prompt and completion.

    Args:
        split: train, validation or test.
        chosen: the section format.
        find: gives the context of a prompt; None where prompts have none.
    """
    for uid, title, content in read_split(split):
        fields: dict[str, Any] = {"uid": uid, "title": title} | ({"context": find(uid, title)} if find else {})
        asked = record_turns(chosen.instruction, chosen.question, fields)
        yield fields | prompt_and_completion(chosen.template, asked, content)


def openai_rows(split: str, chosen: FormatParams, prompts: Path) -> Iterator[dict[str, Any]]:
    """Each record as OpenAI's fine-tuning takes it: the turns of system, user and assistant, nothing else.

    Args:
        split: train, validation or test.
        chosen: the section format.
        prompts: the file of the same records' prompts, with the context of each.
    """
    with prompts.open("rb") as lines:
        for line, (_, _, content) in zip(lines, read_split(split), strict=True):
            asked = record_turns(chosen.instruction, chosen.question, json.loads(line))
            yield {"messages": [*asked, {"role": "assistant", "content": content}]}


if __name__ == "__main__":
    run_stage(main)
