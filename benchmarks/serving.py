"""Measures what serves the exported model: the search for titles, and how fast each form of the export answers.

python -m benchmarks.serving --records 2248619 --engines    # as many titles as the published file has
python -m benchmarks.serving --only speed                   # one half; the other's results stay
python -m benchmarks.serving --only speed --shape Llama-3.2-1B    # of that shape, beside the embedded model
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.process_usage import describe_machine
from benchmarks.serving_report import RESULTS, render_search, render_speed
from src.errors import UserError
from src.files import read_json, write_json

PARTS = ("search", "speed")
SHAPES = ("embedded", "Llama-3.2-1B", "small")  # all but the first with random weights; small to try it


def main() -> None:
    """Measures what is asked for, prints the tables, and keeps the rest of the results."""
    arguments = parse_arguments()
    try:
        results = read_json(arguments.results) if arguments.results.exists() else {}
        for part in [arguments.only] if arguments.only else PARTS:
            measured = {"machine": describe_machine(), **MEASURES[part](arguments)}
            results[part] = {**results.get(part, {}), **measured}
            write_json(arguments.results, results)
            print(RENDERERS[part](results[part]), end="\n\n")
    except UserError as error:
        sys.exit(str(error))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS, help="measure one half alone")
    parser.add_argument("--records", type=int, default=100_000, help="titles (default: %(default)s)")
    parser.add_argument("--searches", type=int, default=500, help="searches of each kind (default: %(default)s)")
    parser.add_argument("--engines", action="store_true", help="search by SQLite's FTS5 and by tantivy as well")
    parser.add_argument("--shape", choices=SHAPES, default=SHAPES[0], help="the model (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="questions that each user asks (default: %(default)s)")
    parser.add_argument("--tokens", type=int, help="of an answer, at most (default: the export's)")
    parser.add_argument("--folder", type=Path, default=Path(".bench"), help="for what is made to be measured")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the JSON file (default: %(default)s)")
    return parser.parse_args()


def search(arguments: argparse.Namespace) -> dict[str, Any]:
    """The search's half."""
    from benchmarks.serving_search import measure_search

    return measure_search(arguments.folder.absolute(), arguments.records, arguments.searches, arguments.engines)


def speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """The answers' half, for the shape of model that is asked for."""
    from benchmarks.serving_speed import measure_shape

    folder = arguments.folder.absolute()
    return {arguments.shape: measure_shape(arguments.shape, folder, arguments.rounds, arguments.tokens)}


MEASURES: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {"search": search, "speed": speed}
RENDERERS: dict[str, Callable[[dict[str, Any]], str]] = {"search": render_search, "speed": render_speed}


if __name__ == "__main__":
    main()
