"""Follows a job until it is over: its words and its progress are shown, Ctrl-C leaves it running.

Covers waiting. The loss curves are read when it is over: curves.py.
"""

import time
from typing import TYPE_CHECKING, Any

from src.hosted import refusals
from src.hosted.service import OVER, Service, waits
from src.inference.refusals import quote
from src.progress import print_line, progress_bar

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent


def follow_job(service: Service, job: "FineTuningJob") -> "FineTuningJob":
    """A job that has ended well.

    Args:
        service: where it is.
        job: as it was when it was found or created.

    Raises:
        UserError: if it failed or was cancelled, or the service cannot be reached, or the user is tired of waiting;
            then the job goes on.
    """
    shown = ShownJob(job.id, service.key)
    try:
        for wait in waits():
            shown.add(service.events(job.id, shown.seen))
            job = service.job(job.id)
            shown.tell_status(job.status)
            if job.status in OVER:
                break
            time.sleep(wait)
        shown.add(service.events(job.id, shown.seen))
    except KeyboardInterrupt:
        raise refusals.left_running(job.id) from None
    finally:
        shown.close()
    refusals.refuse_lost_job(service.endpoint, service.key, job)
    return job


class ShownJob:
    """What is shown of a job: each new status and message in a line, its steps and loss in a bar.

    Attributes:
        seen: the ids of the events so far.
    """

    def __init__(self, identity: str, key: str) -> None:
        """Nothing is shown yet.

        Args:
            identity: the job's.
            key: the service's, which is never shown, whatever the service says.
        """
        self.identity, self.key, self.status = identity, key, ""
        self.seen: set[str] = set()
        self.bar: Any = None

    def tell_status(self, status: str) -> None:
        """Prints a status, where it is another one than before."""
        if status != self.status:
            print_line(f"Job {self.identity}: {status.replace('_', ' ')}.")
        self.status = status

    def add(self, events: "list[FineTuningJobEvent]") -> None:
        """Shows events, the oldest first."""
        for event in events:
            self.seen.add(event.id)
            if event.type == "metrics" and isinstance(event.data, dict):
                self.move_bar(event.data)
            else:
                print_line(f"  {quote(event.message, self.key)}")

    def move_bar(self, metrics: dict[str, Any]) -> None:
        """Moves the bar to a step.

        Args:
            metrics: of the step.
        """
        step, total, loss = (metrics.get(name) for name in ("step", "total_steps", "train_loss"))
        if not isinstance(step, int | float):
            return
        if self.bar is None:
            self.bar = progress_bar("Fine-tuning", int(total or 0), "steps", figures=True)
        self.bar.update(max(0, int(step) - self.bar.n))
        if isinstance(loss, int | float):
            self.bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)

    def close(self) -> None:
        """Takes the bar away."""
        if self.bar is not None:
            self.bar.close()
