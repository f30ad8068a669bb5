"""What the GPU check found, as Markdown: speeds, agreement of the backends, and how all stands to the goals.

Covers the results that gpu.py writes, whole or with parts missing. Does not measure.
"""

from pathlib import Path
from typing import Any

RESULTS = Path("metrics/bench/gpu.json")
BACKENDS = ("transformers", "unsloth")
WAYS: dict[str, dict[str, bool]] = {  # in which the backends are compared
    "4-bit": {"four_bit": True},
    "16-bit": {"four_bit": False},
    "4-bit, packed": {"four_bit": True, "packing": True},
}
NAMES = {"plain": "trl, peft and bitsandbytes", "notebook": "Unsloth's notebook"}
PUBLISHED_RATE = 24.171  # records a second, experiment A on an A100

Results = dict[str, Any]


def render_table(results: Results) -> str:
    """What was measured, and how it stands to the goals, as Markdown."""
    device = results["device"]
    text = [
        f"{device['name']}, {device['matrix_tflops']:,} TFLOP/s in {device['matrix']}; {as_list(device['versions'])}.",
        *(speed_table(results, shape) for shape in shapes_measured(results)),
        agreement_table(results),
        answering_table(results),
        goal_rows(results),
    ]
    return "\n\n".join(text)


def as_list(versions: dict[str, str]) -> str:
    """Packages and their versions in a sentence."""
    return ", ".join(f"{package} {version}" for package, version in versions.items())


def shapes_measured(results: Results) -> list[str]:
    """The shapes whose speed was measured."""
    return list(dict.fromkeys(name.split("/")[1] for name in results if name.startswith("speed/")))


def speed_table(results: Results, shape: str) -> str:
    """A row for each contender at one shape."""
    peak = results["device"]["matrix_tflops"]
    rows = [
        f"| {shape} | records/s | tokens/s | trained tokens/s | padding | useful TFLOP/s | utilisation | memory |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, part in results.items():
        if name.startswith(f"speed/{shape}/"):
            rows.append(f"| {NAMES.get(name.split('/')[2], name.split('/')[2])} | {speed_cells(part, peak)} |")
    return "\n".join(rows)


def speed_cells(part: Results, peak: float) -> str:
    """The figures of one contender, or why there are none."""
    if "steps" not in part:
        return f"{missing_parts(part)} | | | | | |"
    memory = f"{part['peak_reserved_gb']} GB" if "peak_reserved_gb" in part else "–"
    return (
        f"{part['records_per_second']:,} | {part['tokens_per_second']:,.0f} | {part['trained_tokens_per_second']:,.0f} "
        f"| {part['padding_share']:.0%} | {part['useful_tflops']:,.3g} | {part['useful_tflops'] / peak:.0%} | {memory}"
    )


def missing_parts(part: Results) -> str:
    """Why a part has no figures, the last line of what it said where it failed; nothing where it has some."""
    if failure := part.get("failed"):
        return f"failed: {failure.splitlines()[-1]}"
    return part.get("not_run", "")


def agreement_table(results: Results) -> str:
    """A row for each backend and precision on the small model."""
    rows = [
        "| small model | labels right | training loss | held-out loss | reloaded in plain peft | packed to single |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, part in results.items():
        if name.startswith("agreement/"):
            way = name.removeprefix("agreement/")
            rows.append(f"| {way.replace('/', ', ')} | {agreement_cells(part, results.get(f'reload/{way}', {}))} |")
    return "\n".join(rows)


def agreement_cells(part: Results, reloaded: Results) -> str:
    """The figures of one backend in one precision, or why there are none."""
    if "validation_loss" not in part:
        return f"{missing_parts(part)} | | | |"
    again = f"{reloaded['validation_loss']:.4f}" if "validation_loss" in reloaded else missing_parts(reloaded) or "–"
    curves = (f"{part[curve][0]:.3f} to {part[curve][-1]:.4f}" for curve in ("training_loss", "validation_loss"))
    apart = "–" if leak_figure(part) is None else format_outcome(leak_figure(part), "{:+.2%}")
    return f"{'yes' if part['labels_right'] else 'NO'} | {' | '.join(curves)} | {again} | {apart}"


def leak_figure(part: Results) -> float | None:
    """How much the loss of records packed together differs from theirs one by one, relatively."""
    together, alone = part.get("packed_loss"), part.get("single_loss")
    return together / alone - 1 if together and alone else None


def answering_table(results: Results) -> str:
    """A row for each precision of the base that answers."""
    rows = ["| answering | answers/s | tokens/s |", "|---|---:|---:|"]
    for name, part in results.items():
        if name.startswith("answering/"):
            cells = (
                f"{part['answers_per_second']:,} | {part['tokens_per_second']:,}"
                if "answers" in part
                else missing_parts(part) + " |"
            )
            rows.append(f"| base in {name.removeprefix('answering/')} | {cells} |")
    return "\n".join(rows)


def answering_cells(part: Results) -> str:
    """The figures of one precision, or why there are none."""
    if "answers" not in part:
        return f"{missing_parts(part)} |"
    return f"{part['answers_per_second']:,} | {part['tokens_per_second']:,}"


def goal_rows(results: Results) -> str:
    """One row for each goal of issue and design: what was measured, what was wanted."""
    rows = ["| goal | measured | wanted |", "|---|---:|---:|"]
    rows += [
        f"| {name} | {format_outcome(value, form)} | {wanted} |" for name, value, form, wanted in goal_figures(results)
    ]
    return "\n".join(rows)


def format_outcome(value: float | None, form: str) -> str:
    """A value in a form, or that there is none."""
    return "not measured" if value is None else form.format(value)


def goal_figures(results: Results) -> list[tuple[str, float | None, str, str]]:
    """Each goal with its value, the value's form, and what is wanted."""
    one_b, eight_b = "speed/Llama-3.2-1B", "speed/Llama-3-8B"
    rate, useful = "records_per_second", "useful_tflops"
    ours = find_figure(results, f"{one_b}/ours", rate)
    memory = find_figure(results, f"{eight_b}/ours", "peak_reserved_gb")
    used = find_ratio(find_figure(results, f"{one_b}/ours", useful), results["device"].get("matrix_tflops"))
    leaks = [
        abs(found) for part in results.values() if isinstance(part, dict) and (found := leak_figure(part)) is not None
    ]
    notebook, trl = (
        find_ratio(ours, find_figure(results, f"{one_b}/{other}", rate)) for other in ("notebook", "plain")
    )
    return [
        ("Llama-3.2-1B to the published 24.2 records/s", find_ratio(ours, PUBLISHED_RATE), "{:.1f} ×", "at least 10 ×"),
        ("Llama-3.2-1B to Unsloth's notebook", notebook, "{:.2f} ×", "at least 1.3 ×"),
        ("Llama-3.2-1B to plain trl", trl, "{:.2f} ×", "at least 2.5 ×"),
        ("Llama-3.2-1B's utilisation", used, "{:.0%}", "at least 40%"),
        ("Llama-3-8B's memory", memory, "{:.1f} GB", "at most 8 GB"),
        ("largest difference of losses between the backends", find_difference(results), "{:.1%}", "at most 2%"),
        ("largest difference of losses, packed to single", max(leaks, default=None), "{:.2%}", "about 0"),
    ]


def find_figure(results: Results, name: str, key: str) -> float | None:
    """A figure of a part, if it was measured."""
    return results.get(name, {}).get(key)


def find_ratio(value: float | None, other: float | None) -> float | None:
    """One figure to another, if both were measured."""
    return value / other if value and other else None


def find_difference(results: Results) -> float | None:
    """The largest relative difference between the two backends' losses at the same step, in any way."""
    pairs = [
        (one, other)
        for way in WAYS
        for curve in ("training_loss", "validation_loss")
        for one, other in zip(
            *(results.get(f"agreement/{backend}/{way}", {}).get(curve, []) for backend in BACKENDS), strict=False
        )
    ]
    return max((abs(one - other) / one for one, other in pairs), default=None)
