"""A server with OpenAI's interface of files, fine-tuning and chat, which keeps what it is given.

The real client asks it by HTTP. Jobs go on by a step with each look at them. A test sets how they end, and what
interferes with single requests.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "sk-test-0123456789"
BASE_MODEL = "small-2026-01-01"
Reply = tuple[int, Any]  # status and body; bytes are sent as they are
DROP: Reply = (0, None)  # closes the connection without a word
CLOSED_MESSAGE = "Your organization can no longer create fine-tuning jobs."


def error(status: int, message: str = "no", code: str | None = None, param: str | None = None) -> Reply:
    """A reply with an error, as OpenAI words them."""
    return status, {"error": {"message": message, "type": "error", "code": code, "param": param}}


class FakeFineTuning:
    """What the server has been given, and how it behaves.

    Attributes:
        files: the content of each file by its id, in the order in which they came.
        names: their names.
        jobs: the job objects by id.
        events: theirs, the oldest first.
        requests: method and path of each request.
        headers: the values of theirs.
        before: gives a reply in place of the server's own, by method and path and how often that was asked for, from 0.
        after: gives one after the server has done what was asked: what it did stays.
        end: the status in which jobs end, and the error of one that fails.
        key: the one that is let in.
        steps: that a job takes, one for each look at it once it runs.
        tells: where the losses are told: events, results, or nowhere.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.names: dict[str, str] = {}
        self.file_status: dict[str, list[str]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.requests: list[tuple[str, str]] = []
        self.headers: list[list[str]] = []
        self.chats: list[dict[str, Any]] = []
        self.before: Callable[[str, str, int], Reply | None] = lambda method, path, number: None
        self.after: Callable[[str, str, int], Reply | None] = lambda method, path, number: None
        self.end: tuple[str, dict[str, Any] | None] = ("succeeded", None)
        self.key = KEY
        self.steps = 4
        self.tells = "events"
        self.keeps_metadata = True
        self.new_file_status = ["uploaded", "processed"]
        self.models = {BASE_MODEL}
        self.lock = Lock()
        self.address = ""

    def count(self, method: str, path: str) -> int:
        """How often something was asked for; `path` is a pattern."""
        return sum(one == method and re.fullmatch(path, place) is not None for one, place in self.requests)

    def created(self) -> list[dict[str, Any]]:
        """The jobs in the order in which they were created."""
        return list(self.jobs.values())

    def reply(self, method: str, address: str, body: bytes, headers: Any) -> Reply:
        """What a request is answered."""
        place, query = urlsplit(address).path.removeprefix("/v1"), parse_qs(urlsplit(address).query)
        with self.lock:
            number = self.requests.count((method, place))
            self.requests.append((method, place))
            self.headers.append(headers.values())
            if headers["Authorization"] != f"Bearer {self.key}":
                return error(401, f"Incorrect API key provided: {headers['Authorization']}", "invalid_api_key")
            if interfering := self.before(method, place, number):
                return interfering
            done = self.route(method, place, query, body, headers)
            return self.after(method, place, number) or done

    def route(self, method: str, place: str, query: dict[str, list[str]], body: bytes, headers: Any) -> Reply:
        """The server's own answer."""
        match method, place.strip("/").split("/"):
            case "POST", ["files"]:
                return self.take_file(body, headers)
            case "GET", ["files"]:
                return page([self.file(one) for one in self.files], query)
            case "GET", ["files", identity] if identity in self.files:
                return 200, self.file(identity, look=True)
            case "GET", ["files", identity, "content"] if identity in self.files:
                return 200, self.files[identity]
            case "POST", ["fine_tuning", "jobs"]:
                return self.create_job(json.loads(body))
            case "GET", ["fine_tuning", "jobs"]:
                wanted = query.get("metadata[shelftalk]", [None])[0]
                jobs = [job for job in self.created() if wanted in (None, (job["metadata"] or {}).get("shelftalk"))]
                return page(jobs[::-1], query)
            case "GET", ["fine_tuning", "jobs", identity] if identity in self.jobs:
                self.advance(self.jobs[identity])
                return 200, self.jobs[identity]
            case "GET", ["fine_tuning", "jobs", identity, "events"] if identity in self.jobs:
                return page(self.events[identity][::-1], query)
            case "GET", ["fine_tuning", "jobs", identity, "checkpoints"] if identity in self.jobs:
                return page(self.checkpoints(self.jobs[identity]), query)
            case "POST", ["fine_tuning", "jobs", identity, "cancel"] if identity in self.jobs:
                self.finish(self.jobs[identity], "cancelled", None)
                return 200, self.jobs[identity]
            case "POST", ["chat", "completions"]:
                return self.chat(json.loads(body))
        return error(404, f"No such thing: {place}", "not_found")

    def take_file(self, body: bytes, headers: Any) -> Reply:
        """Keeps a file that came as a form."""
        form: Any = message_from_bytes(b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body)
        parts = {str(part.get_param("name", header="content-disposition")): part for part in form.get_payload()}
        assert parts["purpose"].get_payload() == "fine-tune"
        content = parts["file"].get_payload(decode=True)
        return 200, self.file(self.add_file(content, str(parts["file"].get_filename())))

    def add_file(self, content: bytes, name: str) -> str:
        identity = f"file-{len(self.files) + 1}"
        self.files[identity], self.names[identity] = content, name
        self.file_status[identity] = list(self.new_file_status)
        return identity

    def file(self, identity: str, look: bool = False) -> dict[str, Any]:
        statuses = self.file_status[identity]
        status = statuses.pop(0) if look and len(statuses) > 1 else statuses[0]
        size, name = len(self.files[identity]), self.names[identity]
        told = {"id": identity, "object": "file", "bytes": size, "created_at": 1, "filename": name}
        return told | {"purpose": "fine-tune", "status": status, "status_details": "line 3 is bad"}

    def create_job(self, asked: dict[str, Any]) -> Reply:
        """Creates a job, or refuses as the API does."""
        if asked["model"] not in self.models:
            return error(
                400, f"Model {asked['model']} is not available for fine-tuning", "model_not_available", "model"
            )
        for name in ("training_file", "validation_file"):
            if asked.get(name) not in self.files:
                return error(400, f"file {asked.get(name)} does not exist", "invalid_file", name)
        identity = f"ftjob-{len(self.jobs) + 1}"
        hyperparameters = {"n_epochs": 3, "batch_size": 2, "learning_rate_multiplier": 1.8}
        hyperparameters |= asked["method"]["supervised"]["hyperparameters"]
        self.jobs[identity] = {
            **{"id": identity, "object": "fine_tuning.job", "created_at": 100, "finished_at": None, "error": None},
            **{"model": asked["model"], "fine_tuned_model": None, "organization_id": "org-1", "result_files": []},
            **{"status": "validating_files", "seed": asked["seed"], "trained_tokens": None, "estimated_finish": None},
            **{name: asked[name] for name in ("training_file", "validation_file")},
            **{"method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}},
            **{"hyperparameters": hyperparameters, "metadata": asked["metadata"] if self.keeps_metadata else None},
            **{"user_provided_suffix": asked.get("suffix")},
        }
        self.events[identity] = []
        self.tell(identity, f"Created fine-tuning job: {identity}")
        return 200, self.jobs[identity]

    def tell(self, identity: str, message: str, **data: Any) -> None:
        """Adds an event."""
        told = self.events[identity]
        event = {"object": "fine_tuning.job.event", "id": f"ftevent-{identity}-{len(told)}", "created_at": len(told)}
        kind = "metrics" if data else "message"
        told.append(event | {"level": "info", "message": message, "data": data, "type": kind})

    def advance(self, job: dict[str, Any]) -> None:
        """Lets a job go on by one look."""
        if job["status"] == "validating_files":
            job["status"] = "queued"
        elif job["status"] == "queued":
            job["status"], job["done"] = "running", 0
            self.tell(job["id"], "Fine-tuning job started")
        elif job["status"] == "running" and job["done"] < self.steps:
            job["done"] += 1
            if self.tells == "events":
                step, losses = job["done"], self.losses(job["done"])
                message = f"Step {step}/{self.steps}: training loss={losses['train_loss']}"
                self.tell(job["id"], message, step=step, total_steps=self.steps, **losses)
        elif job["status"] == "running":
            self.finish(job, *self.end)

    def losses(self, step: int) -> dict[str, float]:
        """What is measured at a step: the whole validation in the middle and at the end."""
        losses = {"train_loss": round(3 / step, 3), "valid_loss": round(4 / step, 3)}
        if step in (self.steps // 2, self.steps):
            losses["full_valid_loss"] = round(3.5 / step, 3)
        return losses

    def finish(self, job: dict[str, Any], status: str, reason: dict[str, Any] | None) -> None:
        """Ends a job."""
        job |= {"status": status, "error": reason, "finished_at": 160}
        self.tell(job["id"], f"The job has {status}")
        if status != "succeeded":
            return
        job["fine_tuned_model"] = f"ft:{job['model']}:{job['user_provided_suffix'] or 'x'}:{job['id']}"
        self.models.add(job["fine_tuned_model"])
        job["trained_tokens"] = 1000 * self.steps
        if self.tells == "results":
            rows = [f"{step},{self.losses(step)['train_loss']},," for step in range(1, self.steps + 1)]
            content = "\n".join(["step,train_loss,train_accuracy,valid_loss", *rows])
            job["result_files"] = [self.add_file(content.encode(), "step_metrics.csv")]

    def checkpoints(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        """Two checkpoints of a job that has succeeded, the latest first."""
        if job["status"] != "succeeded":
            return []
        return [
            {
                **{"object": "fine_tuning.job.checkpoint", "id": f"ftckpt-{step}", "created_at": 1},
                **{"fine_tuned_model_checkpoint": f"{job['fine_tuned_model']}:ckpt-step-{step}", "step_number": step},
                **{"fine_tuning_job_id": job["id"], "metrics": {"step": step, "full_valid_loss": 3.5 / step}},
            }
            for step in (self.steps, self.steps // 2)
        ]

    def chat(self, asked: dict[str, Any]) -> Reply:
        """An answer of a model that there is."""
        if asked["model"] not in self.models:
            return error(404, f"The model `{asked['model']}` does not exist", "model_not_found")
        self.chats.append(asked)
        kind = "tuned" if asked["model"].startswith("ft:") else "base"
        text = f"A {kind} text on {asked['messages'][-1]['content']}."
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        told = {"id": "1", "object": "chat.completion", "created": 0, "model": asked["model"]}
        return 200, told | {"choices": [choice], "usage": usage}


def page(rows: list[dict[str, Any]], query: dict[str, list[str]]) -> Reply:
    """A page of a list, small so that there are several."""
    ids = [row["id"] for row in rows]
    start = ids.index(query["after"][0]) + 1 if "after" in query else 0
    shown = rows[start : start + 3]
    return 200, {"object": "list", "data": shown, "has_more": start + 3 < len(rows)}


@contextmanager
def serve_fine_tuning() -> Iterator[FakeFineTuning]:
    """Runs the server while a test lasts."""
    fake = FakeFineTuning()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            status, content = fake.reply(self.command, self.path, body, self.headers)
            if (status, content) == DROP:
                self.connection.close()
                return
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            text = isinstance(content, bytes) and not content.startswith(b"{")
            self.send_header("Content-Type", "text/plain" if text else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Retry-After-Ms", "1")  # so that tests do not wait
            with suppress(BrokenPipeError):
                self.end_headers()
                self.wfile.write(data)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.address = f"http://127.0.0.1:{server.server_port}/v1"
    Thread(target=server.serve_forever, daemon=True).start()
    yield fake
    server.shutdown()
    server.server_close()
