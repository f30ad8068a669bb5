"""Lists the jobs of fine-tuning that were started from here, with their status, and cancels one.

Covers the jobs of the journal in .hosted/, at the service of train.endpoint. Ctrl-C leaves a job running; only this
command cancels it. What is trained until then may have to be paid.

    python -m src.hosted                # list
    python -m src.hosted cancel JOB     # cancel that one
"""

import argparse
import sys
from collections.abc import Iterator

from src.errors import UserError
from src.hosted.refusals import no_service
from src.hosted.service import Service
from src.params import load_params


def open_service() -> Service:
    """The service of params.yaml.

    Raises:
        UserError: if there is none, or its key is missing.
    """
    endpoint = load_params().train.endpoint
    if not endpoint.address:
        raise no_service()
    return Service(endpoint)


def job_lines(service: Service) -> Iterator[str]:
    """Each job of the journal, with its status."""
    rows = [row for row in service.journal.rows if (row["kind"], row["address"]) == ("job", service.endpoint.address)]
    for identity in dict.fromkeys(row["id"] for row in rows):
        job = service.job(identity)
        yield f"{identity}  {job.status}  {job.model}  {job.fine_tuned_model or ''}".rstrip()
    if not rows:
        yield f"No job was started from here at {service.endpoint.address}."


def main() -> None:
    """The commands `list` and `cancel`."""
    parser = argparse.ArgumentParser(
        prog="python -m src.hosted", description="Lists the jobs of fine-tuning at train.endpoint, and cancels one."
    )
    parser.add_argument("command", nargs="?", choices=["list", "cancel"], default="list")
    parser.add_argument("job", nargs="?", help="the id of the job to cancel")
    arguments = parser.parse_args()
    if (arguments.command == "cancel") != bool(arguments.job):
        parser.error("`cancel` takes the id of a job, and `list` none")
    try:
        service = open_service()
        if arguments.command == "cancel":
            print(f"{arguments.job}  {service.cancel(arguments.job).status}")
        else:
            print(*job_lines(service), sep="\n")
    except UserError as error:
        sys.exit(f"hosted: {error}")


if __name__ == "__main__":
    main()
