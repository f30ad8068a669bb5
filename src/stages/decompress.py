"""Reads the raw records into data/records.parquet; empty and too short ones are dropped, malformed lines set aside.

What was set aside is in data/rejected.jsonl: line number, reason, the line's first 200 characters.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.files import atomic_file, write_json
from src.params import Params
from src.records import raw
from src.records.tables import parquet_writer
from src.stages.runner import run

RECORDS, REJECTED, METRICS = "data/records.parquet", "data/rejected.jsonl", "metrics/decompress.json"
COUNTED = ("lines", "blank", "rejected", "empty_title", "empty_content", "too_short", "kept")


def main(params: Params) -> None:
    """Reads `data.raw`; lines = blank + rejected + empty_title + empty_content + too_short + kept."""
    data, counts, first_rejected = params.data, Counter[str](), None
    with (
        parquet_writer(RECORDS) as keep,
        atomic_file(REJECTED) as partial,
        partial.open("w", encoding="utf-8") as aside,
    ):
        for block in raw.read(Path(data.raw)):
            records = raw.triage(block.records, data.min_title_chars, data.min_content_chars)
            keep(records.filter(verdict="kept"))
            aside.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in block.rejected)
            first_rejected = first_rejected or next(iter(block.rejected), None)
            counts.update(lines=block.lines, blank=block.blank, rejected=len(block.rejected))
            counts.update(records["verdict"].to_list())
        check(counts, first_rejected, params)
    write_json(METRICS, {name: counts[name] for name in COUNTED})
    print(f"{counts['kept']} of {counts['lines']} lines kept, {counts['rejected']} malformed ones set aside.")


def check(counts: Counter[str], first_rejected: dict[str, Any] | None, params: Params) -> None:
    """Refuses a file of too many malformed lines, or of no usable record.

    Raises:
        UserError: naming the file, the first malformed line and the parameter.
    """
    path, allowed = params.data.raw, params.data.max_rejected_share
    rejected, filled = counts["rejected"], counts["lines"] - counts["blank"]
    if first_rejected and rejected > allowed * filled:
        raise UserError(
            f"{path}:{first_rejected['line']}: {first_rejected['reason']}; {rejected} of {filled} lines are malformed, "
            f"more than data.max_rejected_share = {allowed} allows: mend the file or raise that share."
        )
    if not filled:
        raise UserError(f"data.raw: {path} is empty: set a file of JSON Lines with uid, title and content.")
    if not counts["kept"]:
        raise UserError(
            f"data.raw: none of the {filled} records of {path} is left: lower data.min_title_chars or "
            "data.min_content_chars, or set another file."
        )


if __name__ == "__main__":
    run(main)
