"""Brings the last results back after a stage that failed or was killed: `make restore`.

Before DVC runs a stage it removes the stage's outputs, and its cache keeps them. `dvc checkout` brings back all but the
metrics, which are copied from the cache here; git may hold older ones. Model card and plots are written again by
`dvc repro` in a second.

    python -m src.restore
"""

import shutil
import subprocess
import sys
from pathlib import Path

from src.files import atomic_file


def restore_metrics() -> None:
    """Writes the metrics of dvc.lock from DVC's cache; leaves what it does not hold, such as in a fresh clone."""
    from dvc.repo import Repo

    with Repo() as repo:
        for metric in repo.index.metrics:
            kept = Path(repo.cache.local.oid_to_path(metric.hash_info.value or ""))
            if kept.is_file():
                with atomic_file(metric.fs_path) as file:
                    shutil.copyfile(kept, file)


def main() -> None:
    """Restores what DVC caches, then the metrics."""
    checkout = subprocess.run(["dvc", "checkout", "--force"])
    restore_metrics()
    sys.exit(checkout.returncode)


if __name__ == "__main__":
    main()
