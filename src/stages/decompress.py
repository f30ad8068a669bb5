"""Reads the raw records into data/records.parquet; empty and too short ones are dropped, malformed lines set aside.

What was set aside is in data/rejected.jsonl: line number, reason, the line's first 200 characters.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.files import atomic_file, write_json, write_tsv
from src.params import Params
from src.records import raw
from src.records.parquet import parquet_writer
from src.stages.runner import run_stage

RECORDS, REJECTED = "data/records.parquet", "data/rejected.jsonl"
METRICS, FUNNEL_PLOT = "metrics/decompress.json", "plots/decompress/funnel.tsv"
COUNTED = ("lines", "blank", "rejected", *raw.VERDICTS, "cut_off")
STEPS = {  # what became of a line, as a chart says it
    "rejected": "malformed",
    "empty_title": "empty title",
    "empty_content": "empty description",
    "too_short": "too short",
    "kept": "kept",
}


def main(params: Params) -> None:
    """Reads `data.raw`; lines = rejected + empty_title + empty_content + too_short + kept; blank lines are apart."""
    data, counts, reasons, first_rejected = params.data, Counter[str](), Counter[str](), None
    with (
        parquet_writer(RECORDS) as keep,
        atomic_file(REJECTED) as partial,
        partial.open("w", encoding="utf-8", newline="\n") as aside,
    ):
        for block in raw.read_raw(Path(data.raw), data.lines):
            records = raw.mark_drop_reasons(block.records, data.min_title_chars, data.min_content_chars)
            keep(records.filter(verdict="kept"))
            aside.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in block.rejected)
            first_rejected = first_rejected or next(iter(block.rejected), None)
            counts.update(lines=block.lines - block.blank, blank=block.blank, rejected=len(block.rejected))
            counts.update(records["verdict"].to_list(), cut_off=block.cut_off)
            reasons.update(line["reason"] for line in block.rejected)
        check_usable(counts, first_rejected, params)
    by_reason = {reason: reasons[reason] for reason in raw.REASONS}
    write_json(METRICS, {name: counts[name] for name in COUNTED} | {"rejected_by_reason": by_reason})
    write_tsv(FUNNEL_PLOT, [{"step": label, "records": counts[fate]} for fate, label in STEPS.items()])
    if counts["cut_off"]:
        print(f"Warning: {data.raw} is cut off at line {counts['lines'] + counts['blank']}: fetch it again.")
    print(f"{counts['kept']} of {counts['lines']} lines kept, {counts['rejected']} malformed ones set aside.")


def check_usable(counts: Counter[str], first_rejected: dict[str, Any] | None, params: Params) -> None:
    """Refuses a file of too many malformed lines, or of no usable record.

    Raises:
        UserError: naming the file, the first malformed line and the parameter.
    """
    path, allowed = params.data.raw, params.data.max_rejected_share
    lines, rejected = counts["lines"], counts["rejected"]
    if first_rejected and rejected > allowed * lines:
        fix = "fetch it again" if counts["cut_off"] else "mend the file"
        raise UserError(
            f"{path}:{first_rejected['line']}: {first_rejected['reason']}; {rejected} of {lines} lines are malformed, "
            f"more than data.max_rejected_share = {allowed} allows: {fix}, or raise that share."
        )
    if not lines:
        state = "cut off before its first line" if counts["cut_off"] else "empty"
        raise UserError(f"data.raw: {path} is {state}: set a file of JSON Lines with uid, title and content.")
    if not counts["kept"]:
        raise UserError(
            f"data.raw: none of the {lines} records of {path} is left: lower data.min_title_chars or "
            "data.min_content_chars, or set another file."
        )


if __name__ == "__main__":
    run_stage(main)
