"""Measures the data path at full size: decompress, clean, sample and format, run as dvc.yaml runs them.

Beside them, in the same session, `gzip -dc` of the raw file, and a straightforward pandas program with the same rules
on a slice. The raw file is made by benchmarks/large_file.py. Does not measure DVC itself, nor the stages after format.

    python -m benchmarks.data_path --records 2200000               # about as many lines as the published file has
    python -m benchmarks.data_path --records 2200000 --times 10    # then ten times as many: how time and memory grow
"""

import argparse
import shutil
import sys
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from benchmarks import large_file
from benchmarks.data_path_report import GZIP, RESULTS, Results, StageUsage, render_table
from benchmarks.process_usage import ProcessUsage, describe_machine, measure_command
from src.errors import UserError
from src.files import read_json, write_json
from src.params import PARAMS, PIPELINE, dump_yaml, read_yaml

STAGES = ("decompress", "clean", "sample", "format")
MAX_REJECTED_SHARE = 0.01  # of the raw file's lines, more than the 0.3% that large_file.py makes malformed


def main() -> None:
    """Makes the raw file, measures, prints a table, writes RESULTS."""
    arguments = parse_arguments()
    try:
        folder = arguments.folder.absolute()
        results = run_benchmark(folder, arguments.records, arguments.sample, arguments.slice)
        if arguments.times > 1:
            results["larger"] = run_larger(folder, arguments, results)
    except UserError as error:
        sys.exit(str(error))
    write_json(arguments.results, results)
    print(render_table(results))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.data_path", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=100_000, help="lines of the raw file (default: %(default)s)")
    parser.add_argument("--sample", type=int, default=100_000, help="sample.records, at most (default: %(default)s)")
    parser.add_argument("--slice", type=int, default=20_000, help="lines that pandas reads (default: %(default)s)")
    parser.add_argument("--times", type=int, default=1, help="run the stages on so many times the lines as well")
    parser.add_argument("--folder", type=Path, default=Path(".bench"), help="for raw files and results of the stages")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the JSON file (default: %(default)s)")
    return parser.parse_args()


def run_benchmark(folder: Path, records: int, sample: int, slice_lines: int) -> Results:
    """Measures gzip, the stages and the pandas program.

    Args:
        folder: for the raw file and the results of the stages.
        records: lines of the raw file.
        sample: records that the sample stage draws, at most.
        slice_lines: lines that the pandas program reads, at most.

    Returns:
        All figures, as RESULTS holds them.
    """
    raw, slice_lines = make_raw(folder, records), min(slice_lines, records)
    gzip_before = measure_command(f"gzip -dc {raw}", folder)
    stages = run_stages(folder, raw, sample)
    pandas = run_pandas(folder, raw, slice_lines)
    gzip_after = measure_command(f"gzip -dc {raw}", folder)  # again: other users' load may have changed meanwhile
    return {
        "machine": describe_machine(),
        "lines": records,
        "raw_gb": round(raw.stat().st_size / 1e9, 3),
        "gzip": [asdict(gzip_before), asdict(gzip_after)],
        "stages": stages,
        "pandas": {"lines": slice_lines, **asdict(pandas), "equal_texts": equal_text_share(folder)},
        "ratios": compute_ratios(
            stages,
            seconds_per_line=pandas.wall_s / slice_lines,
            lines=records,
            gzip={unit: (asdict(gzip_before)[unit] + asdict(gzip_after)[unit]) / 2 for unit in ("wall_s", "cpu_s")},
        ),
    }


def run_larger(folder: Path, arguments: argparse.Namespace, once: Results) -> Results:
    """Measures gzip and the stages on a larger file.

    Args:
        folder: for the raw file and the results of the stages.
        arguments: the command line.
        once: what was measured of the smaller one.

    Returns:
        Times the lines, what each used, and by which factor wall time, CPU time and memory grew. That of gzip tells how
        much more there is to unpack, as lines retold in other words pack less well.
    """
    lines = arguments.times * arguments.records
    raw = make_raw(folder, lines)
    used = {GZIP: asdict(measure_command(f"gzip -dc {raw}", folder)), **run_stages(folder, raw, arguments.sample)}
    before = {GZIP: once["gzip"][0], **once["stages"]}
    growth = {name: usage_growth(usage, used[name]) for name, usage in before.items()}
    return {"times": arguments.times, "lines": lines, "used": used, "growth": growth}


def make_raw(folder: Path, records: int) -> Path:
    """Makes the raw file, or takes the one that an earlier call has left.

    Args:
        folder: where it is kept.
        records: its lines.

    Returns:
        Its path.
    """
    raw = folder / f"{records}.json.gz"
    if not raw.exists():
        large_file.write_large_file(raw, records)
    return raw


def run_stages(folder: Path, raw: Path, sample: int) -> dict[str, StageUsage]:
    """Runs each stage in a copy of the project by the command that dvc.yaml has for it.

    Args:
        folder: where the copy is made.
        raw: the raw file.
        sample: sample.records.

    Returns:
        What each stage used, and the seconds that clean spent on near duplicates.
    """
    project = copy_project(folder / "project", raw, sample)
    commands = {name: read_yaml(PIPELINE)["stages"][name]["cmd"] for name in STAGES}
    measured = {name: asdict(measure_command(command, project)) for name, command in tqdm(commands.items(), "stages")}
    spent = read_json(project / "runtime.json")["clean"]
    near = {"wall_s": spent["near_duplicates_seconds"], "cpu_s": spent["near_duplicates_cpu_seconds"]}
    return measured | {"clean": measured["clean"] | {f"near_duplicates_{unit}": near[unit] for unit in near}}


def copy_project(project: Path, raw: Path, sample: int) -> Path:
    """Copies the project's code and parameters, set for the benchmark.

    Args:
        project: the copy's folder, which is emptied before.
        raw: the raw file.
        sample: sample.records.

    Returns:
        The copy's folder.
    """
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree("src", project / "src")
    shutil.copyfile(PIPELINE, project / PIPELINE)
    parameters = read_yaml(PARAMS)
    parameters["data"].update(raw=str(raw), max_rejected_share=MAX_REJECTED_SHARE)
    parameters["sample"].update(records=sample)
    (project / PARAMS).write_text(dump_yaml(parameters), encoding="utf-8")
    return project


def run_pandas(folder: Path, raw: Path, lines: int) -> ProcessUsage:
    """Runs the pandas program on the first lines of the raw file.

    Args:
        folder: where its result is written.
        raw: the raw file.
        lines: how many are read.

    Returns:
        What it used.
    """
    result = pandas_result(folder)
    return measure_command(f"{sys.executable} -m benchmarks.pandas_cleaning {raw} {lines} {result}", Path.cwd())


def pandas_result(folder: Path) -> Path:
    """The Parquet file that the pandas program writes."""
    return folder / "reference.parquet"


def equal_text_share(folder: Path) -> float:
    """The share of the pandas program's texts that equal those of the stages."""
    # In a process of its own, else the commands measured later would start with the memory that this one has taken.
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(equal_texts, (folder / "project/data/clean.parquet", pandas_result(folder)))


def equal_texts(stages: Path, pandas: Path) -> float:
    """Compares two Parquet files of records.

    Args:
        stages: with uid, title and content.
        pandas: likewise.

    Returns:
        The share of records with equal title and content, of those that are in both files.
    """
    import polars as pl

    others = pl.scan_parquet(pandas).select("uid", other_title="title", other_content="content")
    both = pl.scan_parquet(stages).select("uid", "title", "content").join(others, on="uid")
    same = (pl.col("title") == pl.col("other_title")) & (pl.col("content") == pl.col("other_content"))
    return round(both.select(same.mean()).collect().item(), 4)


def compute_ratios(
    stages: dict[str, StageUsage], *, lines: int, gzip: StageUsage, seconds_per_line: float
) -> dict[str, float]:
    """Computes the figures that the goals are about.

    Args:
        stages: what each stage used.
        lines: that the stages read.
        gzip: what `gzip -dc` takes for the raw file.
        seconds_per_line: that the pandas program takes.

    Returns:
        Ratios without a unit, seconds (_s) and GB of 2^30 bytes (_gb).
    """
    clean = stages["clean"]
    cleaned = {
        unit: stages["decompress"][unit] + clean[unit] - clean[f"near_duplicates_{unit}"]
        for unit in ("wall_s", "cpu_s")
    }
    return {
        "decompress_and_clean_to_gzip": round(cleaned["wall_s"] / gzip["wall_s"], 2),
        "decompress_and_clean_to_gzip_cpu": round(cleaned["cpu_s"] / gzip["cpu_s"], 2),
        "pandas_to_decompress_and_clean": round(seconds_per_line / (cleaned["wall_s"] / lines), 1),
        "near_duplicates_s": clean["near_duplicates_wall_s"],
        "sample_and_format_s": round(stages["sample"]["wall_s"] + stages["format"]["wall_s"], 1),
        "peak_gb": round(max(stage["peak_mb"] for stage in stages.values()) / 1024, 2),
    }


def usage_growth(once: StageUsage, larger: StageUsage) -> dict[str, float]:
    """The factors by which a stage's wall time, CPU time and peak memory grew.

    Args:
        once: what it used on one file.
        larger: the same on a larger one.
    """
    return {figure: round(larger[figure] / once[figure], 2) for figure in ("wall_s", "cpu_s", "peak_mb")}


if __name__ == "__main__":
    main()
