"""A service's files and jobs, as the official client reaches them: each file sent once, each job paid for once.

Covers finding what is there already: by a journal in .hosted/, which outlives a crash, and where that does not know, by
asking the service. What fails for a while is repeated by the client; creating a job is not, as a request whose response
was lost may have made one: it is looked for first.
"""

import json
import os
import time
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from itertools import repeat, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from src.hosted import refusals
from src.inference.endpoint import RETRIES, TIMEOUT, read_key
from src.journal import Journal
from src.params import EndpointParams, ServiceParams

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
    from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

JOURNAL = Path(".hosted/journal.jsonl")  # git and DVC ignore the folder
MARK = "shelftalk"  # the key of a job's metadata under which its fingerprint is
PURPOSE: Literal["fine-tune"] = "fine-tune"
OVER = ("succeeded", "failed", "cancelled")
LOST = ("failed", "cancelled")  # nothing is left of such a job: another one takes its place
UNREADY = ("uploaded", "pending", "running")  # of a file; servers that tell none are ready at once
CREATIONS = 3  # attempts to create a job
FIRST_WAIT, LONGEST_WAIT, WAIT_GROWTH = 1.0, 30.0, 1.5  # seconds between two looks at something that goes on
FILE_LOOKS = 40  # at a file that is not ready, 17 minutes; after that the job itself will tell

Reply = TypeVar("Reply")
Request = dict[str, Any]  # what a job is created with, in the words of the API


class Service:
    """A service of fine-tuning."""

    def __init__(self, endpoint: ServiceParams, environment: Mapping[str, str] = os.environ) -> None:
        """Prepares the client, and reads the journal; asks nothing.

        Args:
            endpoint: where the service is.
            environment: what holds the key.

        Raises:
            UserError: if the key is missing or cannot be sent.
        """
        from openai import OpenAI

        self.endpoint = endpoint
        self.key = read_key(as_endpoint(endpoint, "tuned"), environment)
        self.journal = Journal(JOURNAL)
        self.client = OpenAI(base_url=endpoint.address, api_key=self.key, max_retries=RETRIES, timeout=TIMEOUT)

    @contextmanager
    def explained(self, doing: str, job: str = "") -> Iterator[None]:
        """Turns the client's errors into sentences without the key.

        Args:
            doing: what is asked of the service, such as "to create a job".
            job: the id of the job that is asked for, if there is one.

        Raises:
            UserError: with what to change.
        """
        from openai import OpenAIError

        try:
            yield
        except (OpenAIError, ValueError, AttributeError) as error:  # the last two: a body, or a list, that is no JSON
            raise refusals.failed_request(self.endpoint, self.key, doing, error, job) from None

    def known_id(self, kind: str, name: str) -> str | None:
        """The id that the journal has for a file or a job of this address.

        Args:
            kind: file or job.
            name: the file's SHA-256, or the job's fingerprint.
        """
        wanted = {"address": self.endpoint.address, "kind": kind, "name": name}
        found = [row["id"] for row in self.journal.rows if wanted.items() <= row.items()]
        return found[-1] if found else None

    def remember(self, kind: str, name: str, identity: str) -> None:
        """Writes the id of a file or a job into the journal; arguments as of `known_id`, and the id."""
        if self.known_id(kind, name) != identity:
            self.journal.append({"address": self.endpoint.address, "kind": kind, "name": name, "id": identity})

    def provide_file(self, content: bytes) -> str:
        """The id of a file with that content, which is sent only where the service has none.

        Args:
            content: JSON Lines.

        Raises:
            UserError: if the service refuses it.
        """
        digest = sha256(content).hexdigest()
        name = f"shelftalk-{digest[:32]}.jsonl"
        with self.explained("to look for a file"):
            identity = self.find_file(digest, name, len(content))
        if identity is None:
            with self.explained("to take a file"):
                identity = told(self.client.files.create(file=(name, content), purpose=PURPOSE)).id
        self.remember("file", digest, identity)
        with self.explained("to look at a file"):
            self.await_file(identity)
        return identity

    def find_file(self, digest: str, name: str, size: int) -> str | None:
        """The id of a file that the service has.

        Args:
            digest: its SHA-256.
            name: that it was sent under, which holds the digest.
            size: bytes.
        """
        from openai import NotFoundError

        known = self.known_id("file", digest)
        if known:
            try:
                if told(self.client.files.retrieve(known)).status != "error":
                    return known
            except NotFoundError:  # somebody removed it there
                pass
        files = (file for file in told(self.client.files.list(purpose=PURPOSE)) if file.status != "error")
        return next((file.id for file in files if (file.filename, file.bytes) == (name, size)), None)

    def await_file(self, identity: str) -> None:
        """Waits until a file can be trained on.

        Raises:
            UserError: if the service finds fault with it.
        """
        for wait in (*waits(FILE_LOOKS), None):
            file = told(self.client.files.retrieve(identity))
            if file.status == "error":
                raise refusals.refused_file(self.endpoint, self.key, getattr(file, "status_details", None))
            if file.status not in UNREADY or wait is None:
                return
            time.sleep(wait)

    def provide_job(self, request: Request, files: Mapping[str, bytes]) -> "FineTuningJob":
        """The job of a request: one that runs or has ended well, or else a new one, for which the files are sent.

        Args:
            request: what it is created with, less the files.
            files: their contents, by the names that the request has for them.

        Raises:
            UserError: if the service refuses it.
        """
        fingerprint = job_fingerprint(self.endpoint.address, request, files)
        with self.explained("to look for a job"):
            job = self.find_job(fingerprint)
        if job is None:
            identities = {name: self.provide_file(content) for name, content in files.items()}
            job = self.create_job(fingerprint, {**request, **identities})
        self.remember("job", fingerprint, job.id)
        return job

    def find_job(self, fingerprint: str) -> "FineTuningJob | None":
        """The job of that fingerprint, where the service has one that is not lost."""
        from openai import NotFoundError

        known = self.known_id("job", fingerprint)
        if known:
            try:
                job = told(self.client.fine_tuning.jobs.retrieve(known))
                if job.status not in LOST:
                    return job
            except NotFoundError:
                pass
        listed = told(self.client.fine_tuning.jobs.list(metadata={MARK: fingerprint}, limit=100))
        # Looked at again: a service may not know the filter.
        marked = (job for job in listed if (job.metadata or {}).get(MARK) == fingerprint)
        return next((job for job in marked if job.status not in LOST), None)

    def create_job(self, fingerprint: str, request: Request) -> "FineTuningJob":
        """Creates a job; one attempt may have made one that was not told of, so that it is looked for before the next.

        Args:
            fingerprint: by which it is found again.
            request: what it is created with.

        Raises:
            UserError: if the service refuses it, or cannot be reached.
        """
        once, failure = self.client.with_options(max_retries=0), Exception()
        for wait in waits(CREATIONS):
            try:
                return told(once.fine_tuning.jobs.create(**request, metadata={MARK: fingerprint}))
            except Exception as error:
                failure = error
            if not may_have_worked(failure):
                break
            time.sleep(wait)
            with self.explained("to look for a job"):
                if job := self.find_job(fingerprint):
                    return job
        with self.explained("to create a job"):
            raise failure

    def job(self, identity: str) -> "FineTuningJob":
        """A job as it is now."""
        with self.explained("to look at a job", identity):
            return told(self.client.fine_tuning.jobs.retrieve(identity))

    def events(self, identity: str, seen: Container[str] = ()) -> "list[FineTuningJobEvent]":
        """The events of a job that are new, the oldest first.

        Args:
            identity: the job's.
            seen: the ids of those that are known; the service lists the newest first.
        """
        with self.explained("to list the events of a job", identity):
            listed = told(self.client.fine_tuning.jobs.list_events(identity, limit=100))
            return list(takewhile(lambda event: event.id not in seen, listed))[::-1]

    def checkpoints(self, identity: str) -> "list[FineTuningJobCheckpoint]":
        """The checkpoints that a job has left, the earliest first; none of a service that keeps none."""
        from openai import NotFoundError

        with self.explained("to list the checkpoints of a job"):
            try:
                found = list(told(self.client.fine_tuning.jobs.checkpoints.list(identity, limit=100)))
            except NotFoundError:
                return []
        return sorted(found, key=lambda checkpoint: checkpoint.step_number)

    def read_file(self, identity: str) -> bytes:
        """The content of a file, such as a job's results."""
        with self.explained("to read a file"):
            return self.client.files.content(identity).read()

    def cancel(self, identity: str) -> "FineTuningJob":
        """Cancels a job."""
        with self.explained("to cancel a job", identity):
            return told(self.client.fine_tuning.jobs.cancel(identity))


def told(reply: Reply) -> Reply:
    """What a service answers.

    Raises:
        ValueError: if that is a text, such as a page of HTML, which the client passes on.
    """
    if isinstance(reply, str):
        raise ValueError("an answer that is no JSON")
    return reply


def as_endpoint(endpoint: ServiceParams, system: str) -> EndpointParams:
    """A service as an endpoint that answers.

    Args:
        endpoint: where the service is.
        system: which of the compared systems it answers as; evaluate.endpoints can have none of that name.
    """
    return EndpointParams(name=system, **endpoint.model_dump())


def job_fingerprint(address: str, request: Request, files: Mapping[str, bytes]) -> str:
    """A name for all that a job's result depends on: equal requests are one job, and are paid for once.

    Args:
        address: the service's.
        request: what the job is created with, less the files.
        files: what they hold; their ids change where they are sent again.
    """
    digests = {name: sha256(content).hexdigest() for name, content in files.items()}
    return sha256(json.dumps([address, request, digests], sort_keys=True).encode()).hexdigest()[:32]


def may_have_worked(failure: Exception) -> bool:
    """Whether the request behind an error may have been carried out, or may be carried out later."""
    from openai import APIStatusError

    return not isinstance(failure, APIStatusError) or failure.status_code >= 500 or failure.status_code == 429


def waits(count: int = 0) -> Iterator[float]:
    """How long to wait between looks, in seconds, longer each time.

    Args:
        count: of looks; 0 for no end.
    """
    wait = FIRST_WAIT
    for _ in range(count) if count else repeat(None):
        yield wait
        wait = min(wait * WAIT_GROWTH, LONGEST_WAIT)
