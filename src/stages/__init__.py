"""One module for each stage of dvc.yaml, of the same name; runner.py starts them.

Covers one thing besides: an interruption while a stage still loads its libraries, before runner.py can explain it.
"""

import sys
from types import TracebackType


def explain_interruption(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Tells an interruption in one sentence, and everything else as Python does.

    Args:
        kind: the type of the error that ends the process.
        error: the error.
        traceback: where it was raised.
    """
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted: `dvc repro` goes on from here.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = explain_interruption
