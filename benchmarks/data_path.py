"""Measures the data path at full size: decompress, clean, sample and format, run as dvc.yaml runs them.

Beside them, in the same run, `gzip -dc` of the raw file and a straightforward pandas program with the same rules, on
a slice. The raw file is made by src/synthetic/large_file.py. Does not measure DVC itself, nor what comes after format.

    python -m benchmarks.data_path --records 2248619             # as many lines as the published file has
    python -m benchmarks.data_path --records 2248619 --twice     # then twice as many, for the memory
"""

import argparse
import shutil
import subprocess
import sys
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.process_usage import ProcessUsage, describe_machine, measure_command
from src.errors import UserError
from src.files import atomic_file, read_json, write_json
from src.params import PARAMS, PIPELINE, dump_yaml, read_yaml
from src.synthetic import large_file

RESULTS = Path("metrics/bench/data.json")
STAGES = ("decompress", "clean", "sample", "format")
PROJECT = ("src", "dvc.yaml", "params.yaml")


def main() -> None:
    """Makes the raw file, measures, prints a table, writes RESULTS."""
    arguments = parse_arguments()
    try:
        folder = arguments.folder.absolute()
        results = run_benchmark(folder, arguments.records, arguments.sample, arguments.slice)
        if arguments.twice:
            stages = run_stages(folder, make_raw(folder, 2 * arguments.records), arguments.sample)
            results |= {"twice": stages, "memory_growth": relative_growth(results["stages"], stages)}
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
    parser.add_argument("--twice", action="store_true", help="run the stages on twice the lines as well")
    parser.add_argument("--folder", type=Path, default=Path(".bench"), help="for raw files and results of the stages")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the JSON file (default: %(default)s)")
    return parser.parse_args()


def run_benchmark(folder: Path, records: int, sample: int, slice_lines: int) -> dict[str, Any]:
    """Everything that is measured on `records` lines; gzip at both ends of the run, since the machine may be shared."""
    raw = make_raw(folder, records)
    before = measure_command(f"gzip -dc {raw}", folder)
    stages = run_stages(folder, raw, sample)
    reference, equal = run_reference(folder, raw, min(slice_lines, records))
    after = measure_command(f"gzip -dc {raw}", folder)
    return {
        "machine": describe_machine(),
        "lines": records,
        "raw_gb": round(raw.stat().st_size / 1e9, 3),
        "gzip": [asdict(before), asdict(after)],
        "stages": stages,
        "pandas": {"lines": min(slice_lines, records), **asdict(reference), "equal_texts": equal},
        "ratios": compute_ratios(records, [before, after], stages, min(slice_lines, records), reference),
    }


def make_raw(folder: Path, records: int) -> Path:
    """The raw file of so many lines, made by the first call and kept in `folder`."""
    raw = folder / f"{records}.json.gz"
    if not raw.exists():
        folder.mkdir(parents=True, exist_ok=True)
        progress = tqdm(
            large_file.generate_lines(records), "raw file", total=-(-records // large_file.CHUNK), unit="chunk"
        )
        with atomic_file(raw) as partial, partial.open("wb") as file:
            gzip = subprocess.Popen(["gzip", "-6"], stdin=subprocess.PIPE, stdout=file)
            assert gzip.stdin
            gzip.stdin.writelines(progress)
            gzip.stdin.close()
            gzip.wait()
    return raw


def run_stages(folder: Path, raw: Path, sample: int) -> dict[str, dict[str, float]]:
    """Each stage's measures, run in a copy of the project by the command that dvc.yaml has for it."""
    project = copy_project(folder / "project", raw, sample)
    commands = {name: read_yaml(PIPELINE)["stages"][name]["cmd"] for name in STAGES}
    measured = {name: asdict(measure_command(command, project)) for name, command in tqdm(commands.items(), "stages")}
    near = read_json(project / "metrics/runtime.json")["clean"]["near_duplicates_seconds"]
    return measured | {"clean": measured["clean"] | {"near_duplicates_s": near}}


def copy_project(project: Path, raw: Path, sample: int) -> Path:
    """A folder with the project's code, and parameters for the benchmark."""
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree("src", project / "src")
    shutil.copyfile(PIPELINE, project / PIPELINE)
    parameters = read_yaml(PARAMS)
    parameters["data"].update(raw=str(raw), max_rejected_share=0.01)
    parameters["sample"].update(records=sample)
    (project / PARAMS).write_text(dump_yaml(parameters), encoding="utf-8")
    return project


def run_reference(folder: Path, raw: Path, lines: int) -> tuple[ProcessUsage, float]:
    """The measures of the pandas program on the first lines, and the share of its texts that equal the stages' ones."""
    result = folder / "reference.parquet"
    measured = measure_command(f"{sys.executable} -m benchmarks.pandas_cleaning {raw} {lines} {result}", Path.cwd())
    with get_context("spawn").Pool(1) as pool:  # else the commands measured later would start with its memory
        return measured, pool.apply(equal_texts, (folder / "project/data/clean.parquet", result))


def equal_texts(ours: Path, theirs: Path) -> float:
    """The share of records with equal title and content, of those that are in both files."""
    import polars as pl

    there = pl.scan_parquet(theirs).select("uid", title_there="title", content_there="content")
    both = pl.scan_parquet(ours).select("uid", "title", "content").join(there, on="uid")
    same = (pl.col("title") == pl.col("title_there")) & (pl.col("content") == pl.col("content_there"))
    return round(both.select(same.mean()).collect().item(), 4)


def compute_ratios(
    lines: int, gzip: list[ProcessUsage], stages: dict[str, dict[str, float]], slice_lines: int, reference: ProcessUsage
) -> dict[str, float]:
    """The figures that the goals are about."""
    near = stages["clean"]["near_duplicates_s"]
    cleaned = stages["decompress"]["wall_s"] + stages["clean"]["wall_s"] - near
    return {
        "decompress_and_clean_to_gzip": round(cleaned * len(gzip) / sum(run.wall_s for run in gzip), 2),
        "pandas_to_decompress_and_clean": round(reference.wall_s / slice_lines / (cleaned / lines), 1),
        "near_duplicates_s": near,
        "sample_and_format_s": round(stages["sample"]["wall_s"] + stages["format"]["wall_s"], 1),
        "peak_gb": round(max(stage["peak_mb"] for stage in stages.values()) / 1024, 2),
    }


def relative_growth(once: dict[str, dict[str, float]], twice: dict[str, dict[str, float]]) -> dict[str, float]:
    """The peak memory of each stage at twice the lines, as a multiple of that at once."""
    return {name: round(twice[name]["peak_mb"] / once[name]["peak_mb"], 2) for name in once}


def render_table(results: dict[str, Any]) -> str:
    """What was measured, and how it stands to the goals, as Markdown."""
    machine = results["machine"]
    return (
        f"{results['lines']:,} lines, {results['raw_gb']} GB compressed; {machine['cores']} cores of "
        f"{machine['processor']}, Python {machine['python']}, Polars {machine['polars']}.\n\n"
        f"{measure_rows(results)}\n\n{goal_rows(results)}"
    )


def measure_rows(results: dict[str, Any]) -> str:
    """One row for each program that was measured."""
    first, last = results["gzip"]
    growth = results.get("memory_growth", {})
    rows = ["| | wall | CPU | peak memory | the same at twice the lines |", "|---|---:|---:|---:|---:|"]
    rows += [
        table_row(name, run, "–", "–") for name, run in (("`gzip -dc`, before", first), ("`gzip -dc`, after", last))
    ]
    for name, run in results["stages"].items():
        rows.append(
            table_row(f"`{name}`", run, f"{run['peak_mb']:,} MB", f"× {growth[name]}" if name in growth else "–")
        )
    pandas = results["pandas"]
    rows.append(table_row(f"pandas, {pandas['lines']:,} lines", pandas, f"{pandas['peak_mb']:,} MB", "–"))
    return "\n".join(rows)


def table_row(name: str, run: dict[str, float], memory: str, growth: str) -> str:
    """A row of the table of measures."""
    return f"| {name} | {run['wall_s']:.1f} s | {run['cpu_s']:.1f} s | {memory} | {growth} |"


def goal_rows(results: dict[str, Any]) -> str:
    """One row for each goal."""
    ratios = results["ratios"]
    goals = [
        (
            "decompress and clean without near duplicates, to `gzip -dc`",
            "decompress_and_clean_to_gzip",
            "at most 3",
            "×",
        ),
        ("pandas to the same, per line", "pandas_to_decompress_and_clean", "at least 12", "×"),
        ("near duplicates", "near_duplicates_s", "at most 180", "s"),
        ("sample and format", "sample_and_format_s", "at most 60", "s"),
        ("peak memory of any stage", "peak_gb", "less than 3", "GB"),
    ]
    rows = ["| goal | measured | wanted |", "|---|---:|---:|"]
    rows += [f"| {name} | {ratios[key]} {unit} | {wanted} {unit} |" for name, key, wanted, unit in goals]
    if growth := results.get("memory_growth"):
        rows.append(f"| peak memory at twice the lines | {max(growth.values())} × | at most 1.2 × |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
