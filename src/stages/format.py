"""format: data/split/*.parquet -> data/prompts/*.jsonl

One prompt and completion for each record, in the template that format.template names. Rows load with `datasets` as the
prompt-completion form of trl; `uid` and `title` go along.
"""

import polars

from src.files import write_jsonl
from src.params import Params
from src.prompts.rendering import prompt_and_completion, turns
from src.stages.runner import run

SPLITS = ("train", "validation", "test")


def main(params: Params) -> None:
    """Writes the prompts of each side of the split."""
    template, instruction, question = params.format.template, params.format.instruction, params.format.question
    for split in SPLITS:
        records = polars.read_parquet(f"data/split/{split}.parquet", columns=["uid", "title", "content"])
        write_jsonl(
            f"data/prompts/{split}.jsonl",
            (
                {"uid": uid, "title": title}
                | prompt_and_completion(template, turns(instruction, question, title), content)
                for uid, title, content in records.iter_rows()
            ),
        )
        print(f"{records.height} {split} prompts in the {template} template")


if __name__ == "__main__":
    run(main)
