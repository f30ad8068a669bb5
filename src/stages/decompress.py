"""Reads the raw records into data/records.parquet; empty and too short ones are dropped, malformed lines set aside.

What was set aside is in data/rejected.jsonl: line number, reason, the line's first 200 characters. The reasons to drop
a record are the table in src/records/raw_filters.py.
"""

import json
from collections import Counter

from src.files import atomic_file, write_json, write_tsv
from src.params import Params
from src.records.filtering import KEPT, count_drop_reasons, funnel_rows
from src.records.parquet import parquet_writer
from src.records.raw_files import REASONS, read_records
from src.records.raw_filters import RAW_FILTERS, find_raw_drop_reasons
from src.records.refusals import check_raw_records, check_rejected_share
from src.stages.runner import Outcome, run_stage

RECORDS, REJECTED = "data/records.parquet", "data/rejected.jsonl"
REPORT, FUNNEL_PLOT = "data/reports/decompress.json", "data/tables/decompress/funnel.tsv"
COUNTED = ("lines", "blank", "rejected", *(each.name for each in RAW_FILTERS), KEPT, "cut_off")


def main(params: Params) -> Outcome:
    """Reads `data.raw`; lines = rejected + those of each drop reason + kept; blank lines are apart."""
    data, counts, reasons, first_rejected = params.data, Counter[str](), Counter[str](), None
    with (
        atomic_file(REJECTED) as partial,
        partial.open("w", encoding="utf-8", newline="\n") as aside,
        parquet_writer(RECORDS) as append,  # the last to begin and first to end: if it fails then, neither file is left
    ):
        for block in read_records(data):
            drop_reasons = find_raw_drop_reasons(block.records, params)
            append(block.records.filter(drop_reasons.is_null()))
            aside.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in block.rejected)
            first_rejected = first_rejected or next(iter(block.rejected), None)
            counts.update(lines=block.lines - block.blank, blank=block.blank, rejected=len(block.rejected))
            counts.update(count_drop_reasons(drop_reasons), cut_off=block.cut_off)
            reasons.update(line["reason"] for line in block.rejected)
        check_rejected_share(counts, first_rejected, data)  # within the block, so that the last result stays
        check_raw_records(counts, RAW_FILTERS, data)
    by_reason = {reason: reasons[reason] for reason in REASONS}
    write_json(REPORT, {name: counts[name] for name in COUNTED} | {"rejected_by_reason": by_reason})
    write_tsv(FUNNEL_PLOT, [{"step": "malformed", "records": counts["rejected"]}, *funnel_rows(RAW_FILTERS, counts)])
    if counts["cut_off"]:
        print(f"Warning: {data.raw} ends in the middle of line {counts['lines'] + counts['blank']}: fetch it again.")
    kept, lines, rejected = (counts[name] for name in (KEPT, "lines", "rejected"))
    return Outcome(f"{kept:,} of {lines:,} lines kept, {rejected:,} malformed ones set aside")


if __name__ == "__main__":
    run_stage(main)
