"""Why records are refused, in words: what was set, why it fails, what to change. Nothing here changes a result."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.params import DataParams, SampleParams
from src.records.filtering import KEPT, Filter


def check_rejected_share(counts: Mapping[str, int], first_rejected: Mapping[str, Any] | None, data: DataParams) -> None:
    """Refuses a raw file of too many malformed lines.

    Args:
        counts: `lines`, `rejected` among them, and whether the file is truncated (`cut_off`).
        first_rejected: line and reason of the first malformed line.
        data: the section data.

    Raises:
        UserError: naming the file, the first malformed line and the parameter.
    """
    lines, rejected = counts["lines"], counts["rejected"]
    if first_rejected and rejected > data.max_rejected_share * lines:
        fix = "fetch it again" if counts["cut_off"] else "name its columns in data.columns, repair the file"
        raise UserError(
            f"{data.raw}:{first_rejected['line']}: {first_rejected['reason']}; {rejected} of {lines} lines are "
            f"malformed, more than data.max_rejected_share = {data.max_rejected_share} allows: {fix}, or raise that "
            "share."
        )


def check_raw_records(counts: Mapping[str, int], filters: Sequence[Filter], data: DataParams) -> None:
    """Refuses a raw file without a line, or without a record that is kept.

    Args:
        counts: `lines`, whether the file is truncated (`cut_off`), and records by drop reason and KEPT.
        filters: those that were applied.
        data: the section data.

    Raises:
        UserError: naming the file, the drop reasons and what to change.
    """
    lines = counts["lines"]
    if not lines:
        state = "truncated before its first line" if counts["cut_off"] else "empty"
        raise UserError(f"data.raw: {data.raw} is {state}: set a file of JSON Lines, CSV or Parquet.")
    if not counts[KEPT]:
        found, advice = explain_drops(counts, filters)
        raise UserError(
            f"data.raw: none of the {lines} records of {data.raw} is left with data.min_title_chars = "
            f"{data.min_title_chars} and data.min_content_chars = {data.min_content_chars} ({found}): {advice}."
        )


def no_shards(folder: Path) -> UserError:
    """A folder of shards holds no file.

    Args:
        folder: data.raw, or what stands for it.
    """
    return UserError(
        f"{folder} is no folder, or has no files: name a folder of shards in JSON Lines, CSV or Parquet, or set "
        "data.raw to a file."
    )


def missing_columns(path: Path, columns: Mapping[str, str], found: Sequence[str]) -> UserError:
    """A file lacks a column that data.columns names.

    Args:
        path: the file.
        columns: those of uid, title and content.
        found: the columns that it has.
    """
    lacking = [f"data.columns.{field} is {column!r}" for field, column in columns.items() if column not in (*found, "")]
    return UserError(
        f"{', '.join(lacking)}, and {path} has the columns {', '.join(map(repr, found)) or 'none'}: name its columns "
        "of uid, title and content in data.columns, or '' for the uid to have the records numbered."
    )


def refuse_other_type(path: Path, field: str, column: str, kind: str, fits: bool) -> None:
    """Refuses a column that holds no text.

    Args:
        path: the file.
        field: uid, title or content.
        column: its name in the file.
        kind: what it holds.
        fits: whether that will do.

    Raises:
        UserError: naming the column and what it holds.
    """
    if not fits:
        raise UserError(
            f"data.columns.{field} is {column!r}, which holds {kind} in {path}, and has to hold text: name another "
            "column, or write it as text."
        )


def damaged_parquet(path: Path, error: Exception) -> UserError:
    """A Parquet file cannot be read.

    Args:
        path: the file.
        error: what its reader found.
    """
    reason = (str(error).splitlines() or [""])[0].rstrip(".")
    return UserError(f"data.raw: {path} is missing or damaged ({reason}): fetch it again.")


def check_clean_records(source: str, counts: Mapping[str, int], filters: Sequence[Filter]) -> None:
    """Refuses a cleaning that leaves no record.

    Args:
        source: the file of the records.
        counts: records by drop reason and KEPT.
        filters: those that were applied.

    Raises:
        UserError: naming the drop reasons and what to change.
    """
    if not counts[KEPT]:
        found, advice = explain_drops(counts, filters)
        raise UserError(f"{source}: no record is left ({found}): {advice}, or set another data.raw.")


def explain_drops(counts: Mapping[str, int], filters: Sequence[Filter]) -> tuple[str, str]:
    """What was dropped, in words, and the advice of the filter that dropped the most.

    Args:
        counts: records by drop reason.
        filters: those that were applied.
    """
    found = ", ".join(f"{counts[each.name]} {each.label}" for each in filters if counts[each.name])
    return found, max(filters, key=lambda each: counts[each.name]).advice


def check_sample_size(path: str, sample: SampleParams, available: int, in_part: int) -> None:
    """Refuses a selection of more records than there are.

    Args:
        path: the file of the clean records.
        sample: the section sample.
        available: records in the file.
        in_part: records in the part that is sampled.

    Raises:
        UserError: naming the parameter and how many records there are.
    """
    if not available:
        raise UserError(f"{path} has no records: lower data.min_content_chars, or set clean.language to any.")
    if sample.parts > available:
        raise UserError(f"sample.parts is {sample.parts}, and {path} has {available} records: set fewer parts.")
    where = f"part {sample.part} of {sample.parts} of {path}" if sample.parts > 1 else path
    for key, fix in (("pool", "0 to draw once"), ("records", "0 for all"), ("topics", "1 for none")):
        if getattr(sample, key) > in_part:
            raise UserError(
                f"sample.{key} is {getattr(sample, key)}, and {where} has {in_part} records: "
                f"set {in_part} or less, or {fix}."
            )


def check_splits(counts: Mapping[str, int], sample: SampleParams) -> None:
    """Refuses an empty split.

    Args:
        counts: the records drawn for each split.
        sample: the section sample.

    Raises:
        UserError: naming the parameter.
    """
    shares = {"validation": sample.validation_share, "test": sample.test_share}
    for split, records in counts.items():
        if not records:
            reason = f"sample.{split}_share is {shares[split]}" if split in shares else "training needs records"
            fix = "raise sample.records" if sample.records else "set fewer sample.parts, or a larger share"
            raise UserError(
                f"no record of {sum(counts.values())} is in the {split} split ({reason}): {fix}, or change that share."
            )
