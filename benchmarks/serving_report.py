"""The figures of the search for titles and of the served model as Markdown. Does not measure: serving.py does."""

from pathlib import Path
from typing import Any

RESULTS = Path("benchmarks/results/serving.json")

ENGINE_NAMES = {"tantivy": "tantivy 0.27, trigrams, OR", "fts5": "SQLite FTS5, trigrams, OR"}
COMPARED = ("two typos", "three words dropped")
SHAPE_NAMES = {
    "embedded": "The embedded model",
    "Llama-3.2-1B": "A model of the shape of Llama-3.2-1B, with random weights",
}
REFERENCE = "transformers, one at a time"  # what others are compared with


def render_search(results: dict[str, Any]) -> str:
    """What the index took, a row for each kind of search, and the other engines if they were measured."""
    machine, build, best = results["machine"], results["build"], results.get("at_best", {})
    rows = [
        "| the title searched for | found first | at best | nearer to another title | median | 95th percentile | CPU |",
        f"|---{'|---:' * 6}|",
    ]
    rows += [
        f"| {name} | {one['first']}% | {f'{best[name]}%' if name in best else '–'} | {one['nearer_to_another']}% | "
        f"{one['wall_median_ms']} ms | {one['wall_p95_ms']} ms | {one['cpu_median_ms']} ms |"
        for name, one in results["searches"].items()
    ]
    return (
        f"{results['records']:,} titles; {machine['cores']} cores of {machine['processor']}, Python "
        f"{machine['python']}. The index took {build['wall_s']:.0f} s ({build['cpu_s']:.0f} s of CPU; at most 300 are "
        f"wanted) and {build['peak_mb']:,} MB of memory (less than 2,000 are wanted), and has {build['index_mb']:,} "
        f"MB with the texts. Wanted of the searches: 95% found first, with a median under 20 ms.\n\n"
        + "\n".join(rows)
        + (f"\n\n{render_engines(results)}" if "engines" in results else "")
    )


def render_engines(results: dict[str, Any]) -> str:
    """The choice of candidates by each engine, with the same ranking."""
    columns = [f"{kind}, {figure}" for kind in COMPARED for figure in ("first", "median", "CPU")]
    rows = [f"| engine | build | CPU | memory | size | {' | '.join(columns)} |", f"|---{'|---:' * (4 + len(columns))}|"]
    own = results["build"] | {"mb": results["build"]["trigrams_mb"], "searches": results["searches"]}
    for name, one in {"this index": own, **results["engines"]}.items():
        searches = [one["searches"][kind] for kind in COMPARED]
        figures = [
            f"{found['first']}% of {found['searches']} | {found['wall_median_ms']} ms | {found['cpu_median_ms']} ms"
            for found in searches
        ]
        rows.append(
            f"| {ENGINE_NAMES.get(name, name)} | {one['wall_s']:.0f} s | {one['cpu_s']:.0f} s | {one['peak_mb']:,} MB "
            f"| {one['mb']:,} MB | {' | '.join(figures)} |"
        )
    return "\n".join(rows)


def render_speed(results: dict[str, Any]) -> str:
    """A table for each shape of model that was measured."""
    machine = results["machine"]
    shapes = [shape for shape in results if shape != "machine"]
    tables = [f"{SHAPE_NAMES.get(shape, shape)}:\n\n{render_shape(results[shape])}" for shape in shapes]
    return f"{machine['cores']} cores of {machine['processor']}.\n\n" + "\n\n".join(tables)


def render_shape(forms: dict[str, Any]) -> str:
    """One row a form: alone, and with many users at once."""
    rows = [
        "| form | file | memory | tokens/s | times transformers | first token | answers an hour, all users "
        "| times transformers | answer: median, 95th percentile | slowest to fastest user |",
        f"|---{'|---:' * 9}|",
    ]
    reference = forms[REFERENCE]
    for name, form in forms.items():
        alone, together = form["alone"], form["together"]
        speed = alone["tokens_per_second"] / reference["alone"]["tokens_per_second"]
        hour = together["answers_an_hour"] / reference["together"]["answers_an_hour"]
        size = f"{form['file_mb']} MB" if form["file_mb"] else "–"
        rows.append(
            f"| {name} | {size} | {form['peak_mb']:,} MB | {alone['tokens_per_second']:,} | "
            f"{speed:.1f} | {alone['first_token_ms']} ms | {together['answers_an_hour']:,} | {hour:.1f} | "
            f"{together['median_s']} s, {together['p95_s']} s | {together['slowest_to_fastest_user']} |"
        )
    together = reference["together"]
    rounds = together["answers"] // together["users"]
    return f"{together['users']} users at once, {rounds} question{'s' if rounds > 1 else ''} each.\n\n" + "\n".join(
        rows
    )
