"""Runs stages one after another in one process on one core: a machine with another processor, for test_machines.py.

    python -m tests.certificate.chain CORE SETTINGS STAGE...

SETTINGS is JSON: what src/numerics.py is to fix otherwise. One process imports torch once for all stages.
"""

import json
import os
import runpy
import sys

from src import numerics


def main() -> None:
    """Runs the stages of the command line, `generate@base` as `generate base`."""
    os.sched_setaffinity(0, {int(sys.argv[1])})
    numerics.CPU_SETTINGS.update(json.loads(sys.argv[2]))
    for stage in sys.argv[3:]:
        name, _, variant = stage.partition("@")
        sys.argv = [name, *([variant] if variant else [])]
        runpy.run_module(f"src.stages.{name}", run_name="__main__")


if __name__ == "__main__":
    main()
