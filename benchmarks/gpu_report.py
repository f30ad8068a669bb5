"""The results of the GPU check as Markdown: speeds, agreement of the backends, and how they compare to the goals.

Covers the results that gpu.py and gpu_pipeline.py write, complete or with parts missing. Does not measure.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.gpu_parts import BACKENDS, VARIANTS

RESULTS = Path("benchmarks/results/gpu.json")
PIPELINE_RESULTS = Path("benchmarks/results/gpu_pipeline.json")
TRAINER_NAMES = {"plain": "trl, peft and bitsandbytes", "notebook": "Unsloth's notebook"}
CURVES = ("training_loss", "validation_loss")
TIMES = "{:.2f} ×"
REASON = re.compile(r"not done |killed by |[\w.]*(Error|Exception)\b")
SHOWN_KERNELS, NAME_CHARS = 12, 60
PUBLISHED_RATE = 24.171  # records a second, experiment A on an A100

Results = dict[str, Any]  # figures by name: of one part, or of all parts by theirs


class Goal(NamedTuple):
    """A figure beside what is wanted of it; `value` is None where it was not measured."""

    name: str
    value: float | None
    form: str
    wanted: str


def render_table(results: Results) -> str:
    """What was measured, and how it compares to the goals; without a table for a kind of parts that did not run."""
    paragraphs = [
        describe_device(results["device"]),
        *(speed_table(results, shape) for shape in measured_shapes(results)),
        agreement_table(results),
        repeat_table(results),
        answering_table(results),
        goals_table(results),
        *(profile_table(way, outcome) for way, outcome in parts_named(results, "profile/")),
    ]
    return "\n\n".join(filter(None, paragraphs))


def describe_device(device: Results) -> str:
    """The device, what it reaches and with which packages; or why its rate was not measured."""
    if "name" not in device:
        return f"The device's own rate is not known, so there is no utilisation ({missing_reason(device)})."
    versions = ", ".join(f"{package} {version}" for package, version in device["versions"].items())
    return f"{device['name']}, {device['matrix_tflops']:,} TFLOP/s in {device['matrix']}; {versions}."


def parts_named(results: Results, prefix: str) -> Iterator[tuple[str, Results]]:
    """Finds the parts of one kind.

    Args:
        results: of all parts.
        prefix: that their names begin with.

    Yields:
        The rest of each name, and the part's outcome.
    """
    for name, outcome in results.items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), outcome


def measured_shapes(results: Results) -> list[str]:
    """The shapes of the models that were trained for their speed."""
    return list(dict.fromkeys(name.split("/")[0] for name, _ in parts_named(results, "speed/")))


def speed_table(results: Results, shape: str) -> str:
    """Renders a row for each trainer.

    Args:
        results: of all parts.
        shape: of the model.

    Returns:
        The table.
    """
    peak = results["device"].get("matrix_tflops")
    rows = [
        f"| {shape} | records/s | tokens/s | trained tokens/s | padding | useful TFLOP/s | utilisation | memory |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for trainer, outcome in parts_named(results, f"speed/{shape}/"):
        rows.append(f"| {TRAINER_NAMES.get(trainer, trainer)} | {speed_cells(outcome, peak)} |")
    return "\n".join(rows)


def speed_cells(outcome: Results, peak: float | None) -> str:
    """Renders the figures of one trainer, or why there are none.

    Args:
        outcome: of its part.
        peak: the device's rate in TFLOP/s; None where it was not measured.

    Returns:
        Seven cells.
    """
    if "steps" not in outcome:
        return f"{missing_reason(outcome)} | | | | | |"
    memory = f"{outcome['peak_reserved_gb']} GB" if "peak_reserved_gb" in outcome else "–"
    utilisation = f"{outcome['useful_tflops'] / peak:.0%}" if peak else "–"
    return (
        f"{outcome['records_per_second']:,} | {outcome['tokens_per_second']:,.0f} "
        f"| {outcome['trained_tokens_per_second']:,.0f} | {outcome['padding_share']:.0%} "
        f"| {outcome['useful_tflops']:,.3g} | {utilisation} | {memory}"
    )


def missing_reason(outcome: Results) -> str:
    """Why a part has no figures; empty where it has some.

    Of one that failed, the last line of its output that names an error, which CUDA follows with advice; else the last.
    """
    if "failed" in outcome:
        lines = outcome["failed"].splitlines()
        return f"failed: {next(filter(REASON.match, reversed(lines)), lines[-1])}"
    return outcome.get("not_run", "")


def agreement_table(results: Results) -> str:
    """A row for each backend and variant on the small model."""
    rows = [
        "| small model | labels right | training loss | held-out loss | reloaded in plain peft | packed to single |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for name, outcome in parts_named(results, "agreement/"):
        reloaded = results.get(f"reload/{name}", {})
        rows.append(f"| {name.replace('/', ', ')} | {agreement_cells(outcome, reloaded)} |")
    return join_table(rows)


def agreement_cells(outcome: Results, reloaded: Results) -> str:
    """Renders the figures of one backend in one variant, or why there are none.

    Args:
        outcome: of its training.
        reloaded: of its adapter in plain peft.

    Returns:
        Five cells.
    """
    if "validation_loss" not in outcome:
        return f"{missing_reason(outcome)} | | | |"
    labels = "yes" if outcome["labels_right"] else "NO"
    curves = " | ".join(f"{outcome[curve][0]:.3f} to {outcome[curve][-1]:.4f}" for curve in CURVES)
    reload_loss = reloaded.get("validation_loss")
    reload_cell = missing_reason(reloaded) or "–" if reload_loss is None else f"{reload_loss:.4f}"
    difference = packing_difference(outcome)
    return f"{labels} | {curves} | {reload_cell} | {'–' if difference is None else f'{difference:+.2%}'}"


def packing_difference(outcome: Results) -> float | None:
    """How much the loss of packed records differs from that of single ones, relatively; None if not measured."""
    packed_to_single = measured_ratio(outcome.get("packed_loss"), outcome.get("single_loss"))
    return None if packed_to_single is None else packed_to_single - 1


def repeat_table(results: Results) -> str:
    """A row for each way of training that ran twice."""
    return parts_table(results, "repeat/", "the same training twice | matrices that differ | largest difference", twice)


def twice(outcome: Results) -> str:
    """How far the adapters of two trainings differ, in two cells."""
    return f"{outcome['differing']} of {outcome['matrices']} | {outcome['largest_difference']:.2g}"


def answering_table(results: Results) -> str:
    """A row for each way in which the base answers."""
    return parts_table(results, "answering/", "the base answers | answers/s | tokens/s", answer_rates)


def answer_rates(outcome: Results) -> str:
    """How fast it answers, in two cells."""
    return f"{outcome['answers_per_second']:,} | {outcome['tokens_per_second']:,}"


def parts_table(results: Results, prefix: str, head: str, cells: Callable[[Results], str]) -> str:
    """Renders a row of three cells for each part of a kind: its name and two figures, or why there are none.

    Args:
        results: of all parts.
        prefix: that the parts' names begin with.
        head: the three columns.
        cells: what makes the two figures of an outcome.
    """
    rows = [f"| {head} |", "|---|---:|---:|"]
    for name, outcome in parts_named(results, prefix):
        reason = missing_reason(outcome)
        rows.append(f"| {name} | {f'{reason} |' if reason else cells(outcome)} |")
    return join_table(rows)


def join_table(rows: list[str]) -> str:
    """A table of its head, the line below it, and rows; empty without any."""
    return "\n".join(rows) if len(rows) > 2 else ""


def goals_table(results: Results) -> str:
    """A row for each goal: what was measured, what was wanted."""
    rows = ["| goal | measured | wanted |", "|---|---:|---:|"]
    for goal in measure_goals(results):
        measured = "not measured" if goal.value is None else goal.form.format(goal.value)
        rows.append(f"| {goal.name} | {measured} | {goal.wanted} |")
    return "\n".join(rows)


def profile_table(way: str, outcome: Results) -> str:
    """A row for each of the kernels that take most of a training's time, or why they are not known.

    Args:
        way: of training.
        outcome: of its part.
    """
    if "kernels" not in outcome:
        return f"What takes the time, {way}: {missing_reason(outcome)}."
    rows = [f"| what takes the time, {way}: {outcome['busy']:.0%} | share | calls a step |", "|---|---:|---:|"]
    for kernel in outcome["kernels"][:SHOWN_KERNELS]:
        name = kernel["name"].replace("|", " ")
        rows.append(f"| `{name[:NAME_CHARS]}` | {kernel['share']:.1%} | {kernel['calls_per_step']:,g} |")
    return "\n".join(rows)


def measure_goals(results: Results) -> list[Goal]:
    """Each goal with its value, as far as it was measured; ours is the fastest of its ways."""

    def rate(part: str) -> float | None:
        return results.get(part, {}).get("records_per_second")

    small, large = (fastest_way(results, shape) for shape in ("Llama-3.2-1B", "Llama-3-8B"))
    ours, peak = small.get("records_per_second"), results["device"].get("matrix_tflops")
    recipe, ordered = rate("speed/Llama-3.2-1B/ours"), rate("speed/Llama-3.2-1B/ours in a fixed order")
    notebook, trl = rate("speed/Llama-3.2-1B/notebook"), rate("speed/Llama-3.2-1B/plain")
    batched, single = (
        results.get(f"answering/{way}", {}).get("answers_per_second") for way in ("4-bit", "4-bit, one by one")
    )
    memory = results.get("speed/Llama-3-8B/ours", {}).get("peak_reserved_gb")
    differing = results.get("repeat/in a fixed order", {}).get("differing")
    backends, packing = largest_backend_difference(results), largest_packing_difference(results)
    return [
        Goal("Llama-3.2-1B, records/s", ours, "{:.0f}", "at least 327"),
        Goal("Llama-3.2-1B to the published 24.2 records/s", measured_ratio(ours, PUBLISHED_RATE), TIMES, "–"),
        Goal("Llama-3.2-1B to Unsloth's notebook", measured_ratio(ours, notebook), TIMES, "at least 1.3 ×"),
        Goal("Llama-3.2-1B to plain trl", measured_ratio(ours, trl), TIMES, "at least 2.5 ×"),
        Goal("Llama-3.2-1B's utilisation", measured_ratio(small.get("useful_tflops"), peak), "{:.0%}", "at least 40%"),
        Goal("Llama-3-8B, tokens/s", large.get("tokens_per_second"), "{:,.0f}", "at least 12,000"),
        Goal("Llama-3-8B's memory by its recipe", memory, "{:.1f} GB", "at most 8 GB"),
        Goal("answers in batches to one by one", measured_ratio(batched, single), TIMES, "at least 10 ×"),
        Goal("largest difference of losses between the backends", backends, "{:.1%}", "at most 2%"),
        Goal("largest difference of losses, packed to single", packing, "{:.2%}", "about 0"),
        Goal("matrices that differ of two trainings in a fixed order", differing, "{}", "0"),
        Goal("a fixed order's price in time", measured_ratio(recipe, ordered), TIMES, "–"),
    ]


def fastest_way(results: Results, shape: str) -> Results:
    """The figures of the way in which ours trains most tokens a second; none where it was not measured.

    Args:
        results: of all parts.
        shape: of the model.
    """
    ways = [outcome for _, outcome in parts_named(results, f"speed/{shape}/ours") if "steps" in outcome]
    return max(ways, key=lambda outcome: outcome["tokens_per_second"], default={})


def render_pipeline(results: Results) -> str:
    """What the pipeline gave on the device: a row for each first run, and whether a killed training ends the same."""
    rows = [
        "| `dvc repro` | validation loss | facts stated | ROUGE-L | same answers, 16-bit GGUF | 8-bit GGUF |",
        "|---|---:|---:|---:|---:|---:|",
        *(f"| first run, {backend} | {first_cells(run)} |" for backend, run in parts_named(results, "first run/")),
    ]
    paragraphs = ["\n".join(rows)]
    if killed := results.get("killed and resumed"):
        paragraphs.append(f"A training that was killed {killed_outcome(killed)}.")
    return "\n\n".join(paragraphs)


def first_cells(run: Results) -> str:
    """The figures of a first run in five cells, or why there are none."""
    if "scores" not in run:
        return f"{missing_reason(run)} | | | |"
    scores, same = run["scores"], run["same_answers"]
    return (
        f"{run['validation_loss']:.4f} | {scores['facts_stated']['tuned']:.1f}% | {scores['rougeL']['tuned']:.1f} "
        f"| {same['f16']:.0%} | {same['q8_0']:.0%}"
    )


def killed_outcome(killed: Results) -> str:
    """How a resumed training differs from one that nobody killed, or why that is not known."""
    if "matrices" not in killed:
        return missing_reason(killed)
    differing = f"{killed['differing']} of {killed['matrices']} matrices differ"
    return f"and went on from step {killed['resumed_from']}: {differing} from those of one that was not"


def measured_ratio(value: float | None, other: float | None) -> float | None:
    """Divides two figures.

    Args:
        value: None where it was not measured.
        other: likewise.

    Returns:
        None unless both were measured.
    """
    return value / other if value and other else None


def largest_backend_difference(results: Results) -> float | None:
    """The largest relative difference of the two backends' losses at one step, over all variants and both curves."""
    pairs = [
        pair
        for variant in VARIANTS
        for curve in CURVES
        for pair in zip(*(backend_curve(results, backend, variant, curve) for backend in BACKENDS), strict=False)
    ]
    return max((abs(one - other) / one for one, other in pairs), default=None)


def backend_curve(results: Results, backend: str, variant: str, curve: str) -> list[float]:
    """Finds a loss curve.

    Args:
        results: of all parts.
        backend: one of BACKENDS.
        variant: a key of VARIANTS.
        curve: one of CURVES.

    Returns:
        Losses in nats a token, none where it was not measured.
    """
    return results.get(f"agreement/{backend}/{variant}", {}).get(curve, [])


def largest_packing_difference(results: Results) -> float | None:
    """The largest relative difference, up or down, of packed records' loss to that of single ones."""
    differences = (packing_difference(outcome) for _, outcome in parts_named(results, "agreement/"))
    return max((abs(found) for found in differences if found is not None), default=None)
