"""Keeps README.md in step with the project: its tables are written from dvc.yaml, params.yaml and the metrics.

Covers the blocks between `<!-- NAME -->` and `<!-- /NAME -->`; all other text is left alone.

    python -m docs.build            # write the blocks anew
    python -m docs.build --check    # exit status 1 if they are not up to date
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import data_path, embedded_run, gpu_report
from src.errors import UserError
from src.export.model_card import evaluation_section
from src.files import atomic_file, read_json
from src.params import PARAMS, PIPELINE, read_yaml

README = Path("README.md")


def stages_table() -> str:
    """The stages of dvc.yaml: name, what it does, what it writes."""
    rows = ["| stage | what it does | writes |", "|---|---|---|"]
    for name, stage in read_yaml(PIPELINE)["stages"].items():
        stage = stage.get("do", stage)
        written = [next(iter(out)) for kind in ("outs", "metrics") for out in stage.get(kind, [])]
        paths = ", ".join(f"`{path.replace('${key}', '{base,tuned}')}`" for path in written)
        rows.append(f"| `{name}` | {stage['desc']} | {paths} |")
    return "\n".join(rows)


def parameters_table() -> str:
    """The parameters of params.yaml: name, value, and the comment beside it."""
    rows = ["| parameter | default | meaning |", "|---|---|---|"]
    section = ""
    for line in PARAMS.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"(\w+):", line):
            section = heading[1]
        elif entry := re.match(r"  (\w+): (.+?)\s+# (.+)", line):
            rows.append(f"| `{section}.{entry[1]}` | `{entry[2]}` | {entry[3]} |")
    return "\n".join(rows)


def results_block() -> str:
    """The embedded run's funnel, training and scores, from the metrics files.

    Raises:
        UserError: if params.yaml is set to another run.
    """
    params = read_yaml(PARAMS)
    if params["base"]["source"] != "tiny" or not params["data"]["raw"].startswith("data/sample/"):
        raise UserError(
            f"{README} shows the embedded run, and {PARAMS} is set to another: `git checkout {PARAMS}` first."
        )
    raw, clean, sample, audit, train, scores, export = (
        read_json(f"metrics/{stage}.json")
        for stage in ("decompress", "clean", "sample", "audit", "train", "evaluate", "export")
    )
    return (
        f"Of {raw['lines']:,} raw lines {raw['kept']:,} had a title and a description long enough, {clean['kept']:,} "
        f"were left after cleaning, and {sample['records']:,} were drawn: {sample['train']:,} to train on, "
        f"{sample['validation']:,} for the loss curve, {sample['test']:,} held out. {train['steps']:,} steps on "
        f"{audit['tokens_per_epoch']:,} tokens an epoch ({audit['trained_token_share']:.0%} of them trained) took the "
        f"validation loss from {train['validation_loss_first']:.3f} to {train['validation_loss_kept']:.3f}. "
        f"llama.cpp gives {export['gguf_f16_agreement']:.0%} of the merged model's answers to the {export['prompts']} "
        f"check prompts from the f16 GGUF and {export['gguf_q8_0_agreement']:.0%} from the Q8_0 one.\n\n"
        + evaluation_section(scores).partition("\n\n")[2]
    )


def data_bench() -> str:
    """What the data path takes at full size, by the committed benchmark."""
    return data_path.render_table(read_json(data_path.RESULTS))


def embedded_bench() -> str:
    """How fast the embedded run trains, by the committed benchmark."""
    return embedded_run.render_table(read_json(embedded_run.RESULTS))


def gpu_bench() -> str:
    """What the GPU check found, by its committed results."""
    if not gpu_report.RESULTS.exists():
        return "It has not run on a GPU yet: none could be had so far. Its CPU half runs in the tests."
    return gpu_report.render_table(read_json(gpu_report.RESULTS))


BLOCKS: dict[str, Callable[[], str]] = {
    "stages": stages_table,
    "parameters": parameters_table,
    "results": results_block,
    "data-bench": data_bench,
    "embedded-bench": embedded_bench,
    "gpu-bench": gpu_bench,
}


def fill_blocks(text: str) -> str:
    """README's text with every block written anew."""
    for name, write in BLOCKS.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        text = f"{before}{start}\n{write()}\n{end}{rest.partition(end)[2]}"
    return text


def main() -> None:
    """Writes or checks the blocks."""
    parser = argparse.ArgumentParser(prog="python -m docs.build", description="Writes README.md's tables.")
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    text = README.read_text(encoding="utf-8")
    try:
        new = fill_blocks(text)
    except UserError as error:
        sys.exit(str(error))
    if new == text:
        return
    if check:
        sys.exit(f"{README} is behind dvc.yaml, params.yaml or the metrics: run `make readme`.")
    with atomic_file(README) as partial:
        partial.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
