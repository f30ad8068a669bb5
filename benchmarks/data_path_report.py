"""The figures of the data path as Markdown: what each program used, and how that compares to the goals.

Covers the results that data_path.py writes. Does not measure.
"""

from pathlib import Path
from typing import Any

RESULTS = Path("benchmarks/results/data.json")
GZIP = "gzip -dc"
GOALS = (  # name, key in the ratios, what is wanted, unit
    ("decompress and clean without near duplicates, to `gzip -dc`", "decompress_and_clean_to_gzip", "at most 3.5", "×"),
    ("the same in CPU seconds", "decompress_and_clean_to_gzip_cpu", "–", "×"),
    ("pandas to the same, per line", "pandas_to_decompress_and_clean", "at least 12", "×"),
    ("near duplicates", "near_duplicates_s", "at most 180", "s"),
    ("sample and format", "sample_and_format_s", "at most 60", "s"),
    ("peak memory of any stage", "peak_gb", "less than 3", "GB"),
)

Results = dict[str, Any]  # the JSON object of RESULTS
StageUsage = dict[str, float]  # the fields of ProcessUsage


def render_table(results: Results) -> str:
    """What was measured, and how it compares to the goals."""
    machine = results["machine"]
    parts = [
        f"{results['lines']:,} lines, {results['raw_gb']} GB compressed; {machine['cores']} cores of "
        f"{machine['processor']}, Python {machine['python']}, Polars {machine['polars']}.",
        usage_table(results),
        goals_table(results),
    ]
    return "\n\n".join([*parts, growth_table(results)] if "larger" in results else parts)


def usage_table(results: Results) -> str:
    """A row for each program that was measured."""
    first, last = results["gzip"]
    rows = ["| | wall | CPU | peak memory |", "|---|---:|---:|---:|"]
    rows += [usage_row("`gzip -dc`, before", first, "–"), usage_row("`gzip -dc`, after", last, "–")]
    rows += [usage_row(f"`{name}`", usage, f"{usage['peak_mb']:,} MB") for name, usage in results["stages"].items()]
    pandas = results["pandas"]
    rows.append(usage_row(f"pandas, {pandas['lines']:,} lines", pandas, f"{pandas['peak_mb']:,} MB"))
    return "\n".join(rows)


def usage_row(name: str, usage: StageUsage, memory: str) -> str:
    """Renders a row of the table of programs.

    Args:
        name: the program's.
        usage: with wall_s and cpu_s in seconds.
        memory: the third cell.

    Returns:
        The row.
    """
    return f"| {name} | {usage['wall_s']:.1f} s | {usage['cpu_s']:.1f} s | {memory} |"


def growth_table(results: Results) -> str:
    """A row for gzip and each stage: what it used on either file, and by which factor that grew."""
    larger = results["larger"]
    few, many = f"{results['lines']:,} lines", f"{larger['lines']:,} lines"
    names = ("wall", "CPU", "peak memory")
    rows = [
        f"| {larger['times']} times the lines | {' | '.join(f'{name}, {few} | {many} | factor' for name in names)} |",
        "|---" + 9 * "|---:" + "|",
    ]
    for name, usage in {GZIP: results["gzip"][0], **results["stages"]}.items():
        grown, factors = larger["used"][name], larger["growth"][name]
        cells = [
            f"{usage[figure]:,.0f} {unit} | {grown[figure]:,.0f} {unit} | {factors[figure]}"
            for figure, unit in (("wall_s", "s"), ("cpu_s", "s"), ("peak_mb", "MB"))
        ]
        if name == GZIP:  # takes less memory than this program does before it becomes gzip, which is what was measured
            cells[-1] = "– | – | –"
        rows.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def goals_table(results: Results) -> str:
    """A row for each goal: what was measured, what was wanted."""
    ratios = results["ratios"]
    rows = ["| goal | measured | wanted |", "|---|---:|---:|"]
    rows += [
        f"| {name} | {ratios[key]} {unit} | {wanted if wanted == '–' else f'{wanted} {unit}'} |"
        for name, key, wanted, unit in GOALS
        if key in ratios
    ]
    if larger := results.get("larger"):
        grown = max(factor for name in results["stages"] for factor in larger["growth"][name].values())
        name = f"time and memory of any stage at {larger['times']} times the lines"
        rows.append(f"| {name} | at most {grown} × | at most {larger['times']} × |")
    return "\n".join(rows)
