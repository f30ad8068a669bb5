"""The figures of the data path as Markdown: what each program used, and how that compares to the goals.

Covers the results that data_path.py writes. Does not measure.
"""

from pathlib import Path
from typing import Any

RESULTS = Path("benchmarks/results/data.json")
GOALS = (  # name, key in the ratios, what is wanted, unit
    ("decompress and clean without near duplicates, to `gzip -dc`", "decompress_and_clean_to_gzip", "at most 3", "×"),
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
    return (
        f"{results['lines']:,} lines, {results['raw_gb']} GB compressed; {machine['cores']} cores of "
        f"{machine['processor']}, Python {machine['python']}, Polars {machine['polars']}.\n\n"
        f"{usage_table(results)}\n\n{goals_table(results)}"
    )


def usage_table(results: Results) -> str:
    """A row for each program that was measured."""
    first, last = results["gzip"]
    growth = results.get("memory_growth", {})
    rows = ["| | wall | CPU | peak memory | the same at twice the lines |", "|---|---:|---:|---:|---:|"]
    rows += [usage_row("`gzip -dc`, before", first, "–"), usage_row("`gzip -dc`, after", last, "–")]
    for name, usage in results["stages"].items():
        factor = f"× {growth[name]}" if name in growth else "–"
        rows.append(usage_row(f"`{name}`", usage, f"{usage['peak_mb']:,} MB", factor))
    pandas = results["pandas"]
    rows.append(usage_row(f"pandas, {pandas['lines']:,} lines", pandas, f"{pandas['peak_mb']:,} MB"))
    return "\n".join(rows)


def usage_row(name: str, usage: StageUsage, memory: str, growth: str = "–") -> str:
    """Renders a row of the table of programs.

    Args:
        name: the program's.
        usage: with wall_s and cpu_s in seconds.
        memory: the third cell.
        growth: the fourth cell.

    Returns:
        The row.
    """
    return f"| {name} | {usage['wall_s']:.1f} s | {usage['cpu_s']:.1f} s | {memory} | {growth} |"


def goals_table(results: Results) -> str:
    """A row for each goal: what was measured, what was wanted."""
    ratios = results["ratios"]
    rows = ["| goal | measured | wanted |", "|---|---:|---:|"]
    rows += [f"| {name} | {ratios[key]} {unit} | {wanted} {unit} |" for name, key, wanted, unit in GOALS]
    if growth := results.get("memory_growth"):
        rows.append(f"| peak memory at twice the lines | {max(growth.values())} × | at most 1.2 × |")
    return "\n".join(rows)
