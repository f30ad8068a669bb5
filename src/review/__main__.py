"""Reviews a change: writes what differs between two revisions, how sure that is, and a verdict.

    python -m src.review main                      # the workspace against a branch
    python -m src.review HEAD higher-rate          # an experiment against a commit
    python -m src.review main --fail-on worse      # for CI: exit status 0 unless it is worse

Writes review/review.md and review/loss.svg, prints the verdict, and says it by the exit status: 0 better, or nothing
changed; 3 worse; 4 mixed; 5 not to be told; 1 where the two cannot be reviewed.
"""

import argparse
import sys
from pathlib import Path

from src.errors import UserError

OUT = Path("review")
TEXT, PICTURE = "review.md", "loss.svg"
KINDS = ("worse", "mixed", "unknown")


def write_review(arguments: argparse.Namespace) -> int:
    """Writes the review and prints its first line.

    Args:
        arguments: of the command line.

    Returns:
        The exit status.

    Raises:
        UserError: if the revisions cannot be reviewed.
    """
    from src.review.picture import draw_curves
    from src.review.render import render_review
    from src.review.review import review_revisions
    from src.review.revisions import open_revision
    from src.review.verdict import STATUS

    review = review_revisions(open_revision(arguments.old), open_revision(arguments.new))
    picture = draw_curves(review.old, review.new)
    text = render_review(review, PICTURE if picture else None, arguments.run_url)
    write_files(arguments.out, {TEXT: text, PICTURE: picture})
    print(text.splitlines()[0].replace("**", ""))
    print(f"{arguments.out / TEXT} tells the rest.")
    kind = review.verdict.kind
    return STATUS[kind] if not arguments.fail_on or kind in arguments.fail_on else 0


def write_files(folder: Path, files: dict[str, str | None]) -> None:
    """Writes the review, and removes what an earlier one left; other files in the folder stay.

    Args:
        folder: made where it is missing.
        files: texts by name, None of a file that is not to be.

    Raises:
        UserError: if the folder cannot be written to.
    """
    from src.files import atomic_file

    try:
        for name, text in files.items():
            if text is None:
                (folder / name).unlink(missing_ok=True)
                continue
            with atomic_file(folder / name) as partial:
                partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--out {folder} cannot be written to ({error.strerror}): name another folder.") from None


def parse_arguments(words: list[str]) -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m src.review",
        description="Reviews a change: what differs between two revisions, how sure that is, and a verdict.",
        epilog="Exit status: 0 better or nothing changed, 3 worse, 4 mixed, 5 not to be told (unknown); 1 where the "
        "two cannot be reviewed.",
    )
    parser.add_argument("old", metavar="OLD", help="a commit, branch, tag or DVC experiment")
    parser.add_argument("new", metavar="NEW", nargs="?", default="workspace", help="another; default: the workspace")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help=f"where to write; default: {OUT}")
    parser.add_argument(
        "--run-url", metavar="URL", help="where the picture can be found, for text that is read elsewhere"
    )
    parser.add_argument(
        "--fail-on",
        action="append",
        choices=KINDS,
        help="exit with the verdict's status for these verdicts alone, else with 0; may be given several times",
    )
    return parser.parse_args(words)


def main() -> None:
    """The command line."""
    arguments = parse_arguments(sys.argv[1:])
    try:
        sys.exit(write_review(arguments))
    except UserError as error:
        sys.exit(f"review: {error}")


if __name__ == "__main__":
    main()
