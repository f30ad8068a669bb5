"""Certifies results, and compares two runs: names the first stage where they part.

    python -m src.certificate compare                        # the workspace against HEAD
    python -m src.certificate compare main higher-rate       # an experiment against a branch
    python -m src.certificate compare theirs.json            # the workspace against somebody's certificate or dvc.lock
    python -m src.certificate write                          # certify dvc.lock; `make repro` ends with it
    python -m src.certificate write --anew                   # and where every stage ran last

`compare` says the outcome by the exit status: 0 the same results; 3 other results, of other inputs, code or parameters;
4 other results of the same; 1 where the two cannot be compared.
"""

import argparse
import sys

from src.errors import UserError


def compare(arguments: argparse.Namespace) -> int:
    """Prints where two runs part; the exit status.

    Raises:
        UserError: if one of them is none.
    """
    from src.certificate.comparing import compare_runs, describe_comparison
    from src.certificate.runs import read_run

    comparison = compare_runs(read_run(arguments.old), read_run(arguments.new))
    print("\n".join(describe_comparison(comparison)))
    return comparison.status


def write(arguments: argparse.Namespace) -> int:
    """Certifies the workspace's results; the exit status.

    Raises:
        UserError: if there are none.
    """
    from src.certificate.writing import certify

    print(f"certificate: {certify(arguments.anew)}")
    return 0


def parse_arguments(words: list[str]) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m src.certificate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    comparing = commands.add_parser(
        "compare",
        help="name the first stage where two runs part",
        epilog="Exit status: 0 the same results; 3 other results of other inputs, code or parameters; 4 other results "
        "of the same; 1 where the two cannot be compared.",
    )
    comparing.add_argument("old", nargs="?", default="HEAD", help="a revision, an experiment or a file; default: HEAD")
    comparing.add_argument("new", nargs="?", default="workspace", help="another; default: the workspace")
    comparing.set_defaults(command=compare)
    writing = commands.add_parser("write", help="certify the results of dvc.lock")
    writing.add_argument("--anew", action="store_true", help="also where results are the certified ones")
    writing.set_defaults(command=write)
    return parser.parse_args(words)


def main() -> None:
    """The command line."""
    arguments = parse_arguments(sys.argv[1:])
    try:
        sys.exit(arguments.command(arguments))
    except UserError as error:
        sys.exit(f"certificate: {error}")


if __name__ == "__main__":
    main()
