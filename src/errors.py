"""The one exception for what a user can fix: a bad file, a bad parameter, a missing GPU.

Covers the exception, with a damaged file as its special case, and the tests of full memory, of damaged weights and
of kernels without an order; src/stages/runner.py turns all into one sentence and exit status 1.
"""


class UserError(Exception):
    """Tells what was set, why it fails and what to change, naming file and line or the parameter."""


class DamagedFileError(UserError, ValueError):
    """A file that a stage wrote, or that git keeps, cannot be read: it was cut off, or changed by hand."""

    def __init__(self, place: object, reason: object) -> None:
        """The sentence.

        Args:
            place: the file, with the line where one is known.
            reason: what its reader says; of several lines, the first.
        """
        first = (str(reason).strip().splitlines() or [type(reason).__name__])[0]
        super().__init__(
            f"{place} is damaged ({first[:200]}): restore it (`dvc checkout`, or `git checkout` where git keeps it), "
            "or let `dvc repro` make it again."
        )


def is_damaged_weights(error: BaseException) -> bool:
    """Whether a safetensors file is not whole; its own type is known by name, without the library."""
    return type(error).__name__ == "SafetensorError"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the machine, has no memory left; torch's own types are known by name, without torch."""
    named = type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError)
    return named or "can't allocate memory" in str(error)  # what torch raises on a CPU is a plain RuntimeError


def unordered_kernel(error: BaseException) -> str | None:
    """The kernel that torch refuses as its sums have no fixed order, by its first words; None for other errors."""
    kernel, refused, _ = str(error).partition(" does not have a deterministic implementation")
    return kernel if refused else None
