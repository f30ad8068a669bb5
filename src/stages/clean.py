"""Cleans the texts of data/records.parquet into data/clean.parquet; counts what every rule changed and dropped.

The rules and their order are the table in src/records/rules.py.
"""

from collections import Counter

from src.errors import UserError
from src.files import write_json, write_tsv
from src.params import Params
from src.records.clean import VERDICTS, clean
from src.records.duplicates import Seen
from src.records.rules import ASCII_RULES, RULES
from src.records.tables import batches, parquet_writer
from src.stages.runner import run

RECORDS, CLEAN, METRICS = "data/records.parquet", "data/clean.parquet", "metrics/clean.json"
RULES_PLOT, FUNNEL_PLOT = "plots/clean/rules.tsv", "plots/clean/funnel.tsv"


def main(params: Params) -> None:
    """Cleans batch by batch; records = the sum of VERDICTS."""
    rules = ASCII_RULES if params.clean.ascii else RULES
    limits = params.data.min_title_chars, params.data.min_content_chars
    verdicts, titles, contents, records = (Counter[str]() for _ in range(4))
    seen = Seen()
    with parquet_writer(CLEAN) as keep:
        for batch in batches(RECORDS):
            cleaned, changes = clean(batch, rules, *limits, seen)
            keep(cleaned.filter(verdict="kept"))
            verdicts.update(cleaned["verdict"].to_list())
            titles.update(changes.titles)
            contents.update(changes.contents)
            records.update(changes.records)
        check(verdicts)
    total = verdicts.total()
    changed = {f"changed_{rule.name}": records[rule.name] for rule in rules}
    write_json(METRICS, {"records": total, **{name: verdicts[name] for name in VERDICTS}, **changed})
    write_tsv(
        RULES_PLOT,
        [
            {"rule": rule.name, "title_changed": titles[rule.name], "content_changed": contents[rule.name]}
            for rule in rules
        ],
    )
    write_tsv(FUNNEL_PLOT, [{"verdict": name, "records": verdicts[name]} for name in VERDICTS])
    print(f"{verdicts['kept']} of {total} records kept, {verdicts['duplicate']} duplicates removed.")


def check(verdicts: Counter[str]) -> None:
    """Refuses a result without records.

    Raises:
        UserError: if nothing is kept.
    """
    if not verdicts["kept"]:
        dropped = ", ".join(f"{count} {name}" for name, count in sorted(verdicts.items()))
        raise UserError(
            f"no record of {RECORDS} is left ({dropped}): lower data.min_content_chars, or set another data.raw."
        )


if __name__ == "__main__":
    run(main)
