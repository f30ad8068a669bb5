"""The figures of the search for titles as Markdown. Does not measure: serving.py does."""

from pathlib import Path
from typing import Any

RESULTS = Path("benchmarks/results/serving.json")

Results = dict[str, Any]  # the JSON object of RESULTS


def render_table(results: Results) -> str:
    """What the index took, and a row for each kind of search."""
    machine, build = results["machine"], results["build"]
    rows = [
        "| the title searched for | found first | nearer to another title | median | 95th percentile | median CPU |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    rows += [
        f"| {name} | {one['first']}% | {one['nearer_to_another']}% | {one['wall_median_ms']} ms | "
        f"{one['wall_p95_ms']} ms | {one['cpu_median_ms']} ms |"
        for name, one in results["searches"].items()
    ]
    return (
        f"{results['records']:,} titles; {machine['cores']} cores of {machine['processor']}, Python "
        f"{machine['python']}. The index took {build['wall_s']:.0f} s ({build['cpu_s']:.0f} s of CPU; at most 300 are "
        f"wanted) and {build['peak_mb']:,} MB of memory (less than 2,000 are wanted), and has {build['index_mb']:,} "
        f"MB with the texts. Wanted of the searches: 95% found first, with a median under 20 ms.\n\n" + "\n".join(rows)
    )
