"""The learning-rate study: one DVC experiment for each template and rate, and their loss curves in one plot.

Covers naming the experiments, and drawing what `dvc plots diff` gives for them: DVC fills .dvc/plots/loss.json, a
template that knows each by its name. How they are queued and followed is in experiments.py.

    python -m src.study run --rates 1e-5 3e-5 --templates chat alpaca    # queue what is not there yet, run, draw
    python -m src.study plot --rates 1e-5 3e-5 --templates chat alpaca   # dvc_plots/index.html
    python -m src.study picture ... --out docs/learning-rates.svg        # the same plot as a picture
"""

import argparse
import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

from src.errors import UserError
from src.experiments import INTERRUPTED, finished_experiments, run_dvc, run_experiments
from src.files import atomic_file
from src.params import TemplateName

PICTURE = Path("docs/learning-rates.svg")
VEGA_LITE = "5.21"  # as on the page of plots, .dvc/page.html


def learning_rate(text: str) -> str:
    """A learning rate as the names of experiments hold it: 0.00001 and 1.0e-05 are 1e-5.

    Raises:
        ArgumentTypeError: if it is not a number above 0 and below 1.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a learning rate: write a number above 0 and below 1")
    mantissa, exponent = f"{value:.6e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def experiment_names(templates: list[str], rates: list[str]) -> list[str]:
    """The names of a study's experiments, such as chat-1e-5.

    Args:
        templates: names of prompt templates.
        rates: learning rates as `learning_rate` writes them.

    Returns:
        Every template with every rate, in the order of the plot's legend, none twice.
    """
    return list(dict.fromkeys(f"{template}-{rate}" for template in templates for rate in rates))


def study_settings(names: list[str]) -> dict[str, list[str]]:
    """What each experiment sets: the template and the rate that its name holds."""
    parts = {name: name.partition("-") for name in names}
    return {name: [f"train.lr={rate}", f"format.template={template}"] for name, (template, _, rate) in parts.items()}


def plots_diff(names: list[str], *options: str) -> str:
    """The output of `dvc plots diff` for the loss curves of experiments.

    Args:
        names: experiments that ran from this commit or, each from one alone, from earlier ones.
        options: further words of the command.

    Raises:
        UserError: if one of them has not run, or from several commits and not from this one.
    """
    commits = Counter(finished_experiments("--all-commits"))
    if missing := [name for name in names if not commits[name]]:
        raise UserError(f"not run yet: {', '.join(missing)}. Run the study first, with the same rates and templates.")
    if several := [name for name in names if commits[name] > 1 and name not in finished_experiments()]:
        raise UserError(
            f"run from several commits, and not from this one: {', '.join(several)}. Run the study here, or check the "
            "commit out; `dvc exp list --all-commits` tells which."
        )
    return run_dvc("plots", "diff", *names, "--targets", "Loss", *options)


def write_plot(names: list[str]) -> None:
    """Writes DVC's page of the experiments' loss curves; prints the command that does so, and where the page is."""
    print(f"> dvc plots diff {' '.join(names)} --targets Loss", flush=True)
    print(plots_diff(names).strip())


def write_picture(names: list[str], out: Path) -> None:
    """Writes the plot of `dvc plots diff` as an SVG picture; needs no browser.

    Args:
        names: experiments that have run.
        out: the file to write.
    """
    import vl_convert

    specification = json.loads(plots_diff(names, "--show-vega"))
    with atomic_file(out) as partial:
        partial.write_text(vl_convert.vegalite_to_svg(specification, vl_version=VEGA_LITE), encoding="utf-8")
    print(f"{out} shows {', '.join(names)}.")


def main() -> None:
    """The commands `run`, `plot` and `picture`."""
    parser = argparse.ArgumentParser(prog="python -m src.study", description="Runs and draws a learning-rate study.")
    parser.add_argument("command", choices=["run", "plot", "picture"])
    parser.add_argument("--rates", nargs="+", type=learning_rate, required=True, metavar="RATE")
    parser.add_argument("--templates", nargs="+", choices=get_args(TemplateName), required=True, metavar="NAME")
    parser.add_argument("--out", type=Path, default=PICTURE, help="picture: the file to write")
    arguments = parser.parse_args()
    names = experiment_names(arguments.templates, arguments.rates)
    try:
        if arguments.command == "picture":
            write_picture(names, arguments.out)
            return
        if arguments.command == "run":
            run_experiments(study_settings(names))
        write_plot(names)
    except UserError as error:
        sys.exit(f"study: {error}")
    except KeyboardInterrupt:
        sys.exit(f"study: {INTERRUPTED}")


if __name__ == "__main__":
    main()
