"""The one exception for what a user can fix: a bad file, a bad parameter, a missing GPU.

Covers the exception, and the one test of full memory; src/stages/runner.py turns both into one sentence and exit
status 1.
"""


class UserError(Exception):
    """Tells what was set, why it fails and what to change, naming file and line or the parameter."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the machine, has no memory left; torch's own types are known by name, without torch."""
    named = type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError)
    return named or "can't allocate memory" in str(error)  # what torch raises on a CPU is a plain RuntimeError
