"""Draws a stratified sample of data/clean.parquet and splits it into data/split/{train,validation,test}.parquet.

Records that share a normalised title or a content stay on one side. The leak is measured on the files written.
"""

from contextlib import ExitStack
from typing import Any

import polars as pl

from src.errors import UserError
from src.files import write_json, write_tsv
from src.params import Params, SampleParams
from src.records import split
from src.records.tables import FIELDS, batches, parquet_writer
from src.stages.runner import run

CLEAN, METRICS, STRATA_PLOT = "data/clean.parquet", "metrics/sample.json", "plots/sample/strata.tsv"
SPLIT = {side: f"data/split/{side}.parquet" for side in split.SIDES}


def main(params: Params) -> None:
    """Plans on an index of all records, then writes the records drawn, batch by batch."""
    sample = params.sample
    index = pl.concat(split.index(batch) for batch in batches(CLEAN))
    check_size(sample.records, index.height)
    strata = split.strata(index, sample.quantiles)
    plan = pl.DataFrame(
        {
            "stratum": strata,
            "side": split.sides(index, sample.seed, sample.validation_share, sample.test_share),
            "drawn": split.draw(index, strata, sample.records or index.height, sample.seed),
        }
    )
    drawn = plan.filter("drawn")
    check_sides(drawn["side"], sample)
    write_split(plan)
    shares = strata_shares(plan)
    deviation = max(abs(row["share"] - row["share_drawn"]) for row in shares)
    metrics = {"available": index.height, "records": drawn.height, "strata": len(shares), **counts(drawn["side"])}
    write_json(METRICS, {**metrics, **leak(), "max_share_deviation": round(deviation, 6)})
    write_tsv(STRATA_PLOT, shares)
    print(f"{drawn.height} of {index.height} records drawn from {len(shares)} strata.")


def check_size(records: int, available: int) -> None:
    """Refuses a sample larger than the data.

    Raises:
        UserError: naming the parameter and how many records there are.
    """
    if records > available:
        raise UserError(
            f"sample.records is {records}, and {CLEAN} has {available} records: set {available} or less, or 0 for all."
        )


def check_sides(drawn: pl.Series, sample: SampleParams) -> None:
    """Refuses a split without records on a side.

    Raises:
        UserError: naming the parameter.
    """
    shares = {"validation": sample.validation_share, "test": sample.test_share}
    for side, held in counts(drawn).items():
        if not held:
            reason = f"sample.{side}_share is {shares[side]}" if side in shares else "training needs records"
            raise UserError(f"no record of {drawn.len()} is on the {side} side ({reason}): raise sample.records.")


def counts(sides: pl.Series) -> dict[str, int]:
    """How many records each side has."""
    return {side: int((sides == side).sum()) for side in split.SIDES}


def write_split(plan: pl.DataFrame) -> None:
    """Writes the records drawn to their sides' files, in the order of the cleaned data."""
    with ExitStack() as files:
        append = {side: files.enter_context(parquet_writer(SPLIT[side], (*FIELDS, "stratum"))) for side in split.SIDES}
        start = 0
        for batch in batches(CLEAN):
            records = batch.hstack(plan.slice(start, batch.height)).filter("drawn")
            start += batch.height
            for side in split.SIDES:
                append[side](records.filter(side=side))


def leak() -> dict[str, int]:
    """How many normalised titles and contents the written files share between sides."""
    written = pl.concat(
        split.index(batch).with_columns(side=pl.lit(side)) for side in split.SIDES for batch in batches(SPLIT[side])
    )
    return {
        "shared_titles": split.shared(written, "title_key"),
        "shared_contents": split.shared(written, "content_key"),
    }


def strata_shares(plan: pl.DataFrame) -> list[dict[str, Any]]:
    """Per stratum its share of all records and of the sample, and how many records each side has of it."""
    drawn = pl.col("drawn")
    table = plan.group_by("stratum").agg(
        share=(pl.len() / plan.height).round(6),
        share_drawn=(drawn.sum() / plan["drawn"].sum()).round(6),
        **{side: (drawn & (pl.col("side") == side)).sum() for side in split.SIDES},
    )
    return table.sort("stratum").to_dicts()


if __name__ == "__main__":
    run(main)
