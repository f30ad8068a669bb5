"""Keeps the documentation in step with the project: tables, figures and pictures come from the project's own files.

Covers the blocks between `<!-- NAME -->` and `<!-- /NAME -->` in README.md and docs/, and the picture of the first
run. All other text is left alone.

    python -m docs.build            # write the blocks again, and the picture
    python -m docs.build --check    # exit status 1 if one of them is not up to date
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import (
    data_path_report,
    evaluation,
    evaluation_generation,
    gpu_report,
    serving_report,
    significance,
    tiny_training,
)
from docs.example import example_table
from docs.needs import needs_summary, needs_table
from docs.picture import PICTURE, draw_picture, picture_is_current
from docs.stages import pipeline_diagram, stages_table
from src.errors import UserError
from src.export.model_card import EMBEDDED_BASE, evaluation_section
from src.files import atomic_file, read_json
from src.inference.engine import sampling_of
from src.params import PARAMS, load_params, read_yaml
from src.scoring.scores import SCORES
from src.scoring.systems import TUNED

README, DOCS = Path("README.md"), Path("docs")


def parameters_table() -> str:
    """The parameters of params.yaml, a table for each section: name, value, and the comment beside it."""
    lines: list[str] = []
    section = group = ""
    for line in PARAMS.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"(\w+):", line):
            section = heading[1]
            lines += ["", f"### {section}", "", "| parameter | default | meaning |", "|---|---|---|"]
        elif heading := re.match(r"  (\w+):\s+# (.+)", line):
            group = f"{section}.{heading[1]}"
            lines.append(f"| `{group}` | | {heading[2]} |")
        elif entry := re.match(r"  (  )?(\w+): (\S.*?)\s+# (.+)", line):
            lines.append(f"| `{group if entry[1] else section}.{entry[2]}` | `{entry[3]}` | {entry[4]} |")
    return "\n".join(lines).strip()


def results_summary() -> str:
    """The first run in five lines: records, training, facts, scores, export."""
    require_first_run()
    found = stage_metrics("decompress", "clean", "sample", "audit", "train", "evaluate", "export")
    require_scores(found["evaluate"])
    lines = (
        records_line(found),
        training_line(found),
        facts_line(found["evaluate"]),
        scores_line(found["evaluate"]),
        export_line(found["export"]),
    )
    return "\n".join(lines)


def require_first_run() -> None:
    """Makes sure that the metrics are those of the first run.

    Raises:
        UserError: if params.yaml is set to another one.
    """
    params = read_yaml(PARAMS)
    base, data = params["base"], params["data"]
    if (base["source"], base["folder"]) != ("local", EMBEDDED_BASE) or not data["raw"].startswith("data/sample/"):
        raise UserError(
            f"The docs show the embedded model on synthetic data, and {PARAMS} is set to something else: "
            f"`git checkout {PARAMS}` and `dvc repro` first."
        )


def require_scores(scores: dict[str, Any]) -> None:
    """Makes sure that reports/evaluate.json holds every score that the docs show.

    Raises:
        UserError: if it was written before one was added.
    """
    missing = [score.name for score in SCORES if score.in_tables and score.name not in scores[TUNED]]
    if missing:
        raise UserError(f"reports/evaluate.json lacks {', '.join(missing)}: run `dvc repro`, then `make docs`.")


def stage_metrics(*stages: str) -> dict[str, Any]:
    """The metrics that each stage wrote."""
    return {stage: read_json(f"reports/{stage}.json") for stage in stages}


def records_line(found: dict[str, Any]) -> str:
    """How many records each stage left."""
    raw, clean, sample = found["decompress"], found["clean"], found["sample"]
    return (
        f"- **Records**: {raw['lines']:,} raw lines; {raw['kept']:,} with a title and a description; {clean['kept']:,} "
        f"after cleaning; {sample['records']:,} drawn, of which {sample['train']:,} to train on, "
        f"{sample['validation']:,} for the loss curve, {sample['test']:,} held out for testing."
    )


def training_line(found: dict[str, Any]) -> str:
    """What training did to the loss."""
    train, audit = found["train"], found["audit"]
    return (
        f"- **Training**: {train['steps']:,} steps over {audit['tokens_per_epoch']:,} tokens per pass, "
        f"{audit['trained_token_share']:.0%} of them trained. Validation loss from "
        f"{train['validation_loss_first']:.2f} to {train['validation_loss_kept']:.2f} nats per token."
    )


def facts_line(scores: dict[str, Any]) -> str:
    """Which facts each system states, and how many of them are wrong, with intervals."""
    tuned, base, nearest = (
        [format_percentage(scores, system, score) for score in ("facts_stated", "facts_wrong")]
        for system in (TUNED, "base", "nearest")
    )
    return (
        f"- **Facts**: of the facts in the titles, such as brand and colour, the fine-tuned model states {tuned[0]}, "
        f"and {tuned[1]} of what it states is wrong; its base {base[0]} and {base[1]}, the copy of the nearest title's "
        f"text {nearest[0]} and {nearest[1]}."
    )


def format_percentage(scores: dict[str, Any], system: str, score: str) -> str:
    """A system's own score with its interval.

    Args:
        scores: reports/evaluate.json.
        system: its name.
        score: the name of one from 0 to 100 that has an interval.
    """
    bounds = scores["interval"][system][score]
    return f"{scores[system][score]:.1f}% ({bounds['low']:.1f} to {bounds['high']:.1f})"


def scores_line(scores: dict[str, Any]) -> str:
    """How the tuned model compares, with intervals."""
    base, nearest = (scores["difference"][f"tuned_minus_{system}"]["rougeL"] for system in ("base", "nearest"))
    return (
        f"- **Scores**: ROUGE-L {format_difference(base)} against the base model, {format_difference(nearest)} against "
        f"the copy of the nearest title's text (95% intervals, {scores['records']} records)."
    )


def format_difference(difference: dict[str, float]) -> str:
    """A difference of scores with its interval."""
    text = f"{difference['estimate']:+.1f} ({difference['low']:+.1f} to {difference['high']:+.1f})"
    return text.replace("-", "−")  # a minus as wide as the plus, where a hyphen is short


def export_line(export: dict[str, Any]) -> str:
    """How often llama.cpp gives the merged model's answers."""
    return (
        f"- **Export**: on {export['prompts']} prompts llama.cpp gives exactly the adapter's answer for "
        f"{export['forms']['f16']['agreement']:.0%} from the 16-bit GGUF and "
        f"{export['forms']['q8_0']['agreement']:.0%} from the 8-bit one."
    )


def scores_table() -> str:
    """Every score of the model card, of both models and the baseline."""
    require_first_run()
    scores = read_json("reports/evaluate.json")
    require_scores(scores)
    return evaluation_section(scores, sampling_of(load_params().generate)).partition("\n\n")[2]


def data_bench() -> str:
    """What the data path takes at full size, by the committed benchmark."""
    return data_path_report.render_table(read_json(data_path_report.RESULTS))


def tiny_bench() -> str:
    """How fast the first run trains, by the committed benchmark."""
    return tiny_training.render_table(read_json(tiny_training.RESULTS))


def serving_bench() -> str:
    """What the search for titles takes and finds, by the committed benchmark."""
    return serving_part("search", serving_report.render_search)


def speed_bench() -> str:
    """How fast each form of the export answers, by the committed benchmark."""
    return serving_part("speed", serving_report.render_speed)


def serving_part(part: str, render: Callable[[dict[str, Any]], str]) -> str:
    """A half of the benchmark of serving.

    Args:
        part: its name in the results.
        render: what writes its tables.
    """
    results = read_json(serving_report.RESULTS) if serving_report.RESULTS.exists() else {}
    return render(results[part]) if part in results else "No results yet: run the command above."


def gpu_bench() -> str:
    """What the GPU check found, by its committed results."""
    renderers = {
        gpu_report.RESULTS: gpu_report.render_table,
        gpu_report.PIPELINE_RESULTS: gpu_report.render_pipeline,
    }
    found = [render(read_json(path)) for path, render in renderers.items() if path.exists()]
    return "\n\n".join(found) or (
        "No results yet: this check has not been run on a GPU. The tests run those parts of it that need none."
    )


def significance_bench() -> str:
    """How far the evaluation's statistics keep their promises, by the committed simulation."""
    return significance.render_table(read_json(significance.RESULTS))


def generation_bench() -> str:
    """How fast prompts are answered."""
    return evaluation_generation.render_generation(read_json(evaluation.RESULTS)["generation"])


class Block(NamedTuple):
    """A generated block: its name in the markers, the files that show it, and what writes it."""

    name: str
    files: tuple[Path, ...]
    render: Callable[[], str]


BLOCKS = (
    Block("example", (README,), example_table),
    Block("results", (README,), results_summary),
    Block("pipeline", (README,), pipeline_diagram),
    Block("needs-summary", (README,), needs_summary),
    Block("needs", (DOCS / "training.md",), needs_table),
    Block("scores", (DOCS / "experiments.md",), scores_table),
    Block("stages", (DOCS / "reproducibility.md",), stages_table),
    Block("parameters", (DOCS / "parameters.md",), parameters_table),
    Block("data-bench", (DOCS / "benchmarks.md",), data_bench),
    Block("tiny-bench", (DOCS / "benchmarks.md",), tiny_bench),
    Block("significance-bench", (DOCS / "benchmarks.md",), significance_bench),
    Block("generation-bench", (DOCS / "benchmarks.md",), generation_bench),
    Block("serving-bench", (DOCS / "benchmarks.md",), serving_bench),
    Block("speed-bench", (DOCS / "benchmarks.md",), speed_bench),
    Block("gpu-bench", (DOCS / "benchmarks.md",), gpu_bench),
)


def fill_blocks(path: Path) -> str:
    """The text of a file with every block of it written again.

    Raises:
        UserError: if the file lacks the markers of a block that belongs there.
    """
    text = path.read_text(encoding="utf-8")
    for block in BLOCKS:
        if path in block.files:
            text = fill_block(text, block, path)
    return text


def fill_block(text: str, block: Block, path: Path) -> str:
    """A file's text with one block written again.

    Args:
        text: the file's.
        block: what is written.
        path: the file, for messages.

    Raises:
        UserError: if its markers are missing.
    """
    start, end = f"<!-- {block.name} -->", f"<!-- /{block.name} -->"
    before, opened, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise UserError(f"{path} lacks the lines {start} and {end}: put them where the block belongs.")
    return f"{before}{start}\n{block.render()}\n{end}{after}"


def stale_files() -> Iterator[Path]:
    """The files that are not what the project's files would make them."""
    if not picture_is_current():
        yield PICTURE
    for path in sorted({path for block in BLOCKS for path in block.files}):
        if fill_blocks(path) != path.read_text(encoding="utf-8"):
            yield path


def write_file(path: Path) -> None:
    """Writes the picture or a file's blocks again."""
    if path == PICTURE:
        draw_picture()
        return
    text = fill_blocks(path)
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def main() -> None:
    """Writes or checks everything that is generated."""
    parser = argparse.ArgumentParser(prog="python -m docs.build", description="Writes the docs' tables and pictures.")
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    try:
        stale = list(stale_files())
        if check and stale:
            sys.exit(f"{', '.join(map(str, stale))}: not up to date with the project's files: run `make docs`.")
        for path in stale:
            write_file(path)
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
