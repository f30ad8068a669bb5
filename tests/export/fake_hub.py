"""A model hub for tests: as much of the hub's HTTP interface as huggingface_hub needs to upload a model."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

LARGE = (".gguf", ".safetensors")  # what goes to the large file storage


class FakeHub:
    """What a hub holds, and how it is to fail.

    Attributes:
        files: the contents by path, as committed.
        large: contents of the large file storage, by SHA-256.
        requests: method and path of each request so far.
        keys: what each request had for authorisation.
        messages: of the commits.
        fails: a status for the requests whose path has the text in it.
        private: whether the repository is; None where there is none yet.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.large: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.keys: set[str | None] = set()
        self.messages: list[str] = []
        self.fails: dict[str, int] = {}
        self.private: bool | None = None
        self.address = ""

    def reply(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """The status and the JSON value that answer a request."""
        self.requests.append(f"{method} {path}")
        for text, status in self.fails.items():
            if text in path:
                return status, {"error": "no"}
        parts = {
            "/api/repos/create": self.create,
            "/api/validate-yaml": lambda body: (200, {"errors": [], "warnings": []}),
            "/preupload/": self.preupload,
            "/objects/batch": self.batch,
            "/upload/": lambda body: self.store(path.rsplit("/", 1)[1], body),
            "/commit/": self.commit,
        }
        answer = next((part for text, part in parts.items() if text in path), None)
        if answer:
            return answer(body)
        return (200, {"id": "a/b", "private": self.private, "sha": "0" * 40}) if method == "GET" else (404, {})

    def create(self, body: bytes) -> tuple[int, Any]:
        if self.private is not None:
            return 409, {"error": "exists", "url": f"{self.address}/a/b"}
        self.private = json.loads(body).get("visibility") == "private"
        return 200, {"url": f"{self.address}/a/b"}

    def preupload(self, body: bytes) -> tuple[int, Any]:
        paths = [file["path"] for file in json.loads(body)["files"]]
        modes = {path: "lfs" if path.endswith(LARGE) else "regular" for path in paths}
        return 200, {
            "files": [
                {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": self.digest(path, mode)}
                for path, mode in modes.items()
            ]
        }

    def digest(self, path: str, mode: str) -> str | None:
        """The hash of a file that is here, as git has it or as the large file storage does."""
        content = self.files.get(path)
        if content is None:
            return None
        if mode == "lfs":
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

    def batch(self, body: bytes) -> tuple[int, Any]:
        wanted = json.loads(body)["objects"]
        links = {
            one["oid"]: {"upload": {"href": f"{self.address}/upload/{one['oid']}"}}
            for one in wanted
            if one["oid"] not in self.large
        }
        return 200, {
            "transfer": "basic",
            "objects": [one | ({"actions": links[one["oid"]]} if one["oid"] in links else {}) for one in wanted],
        }

    def store(self, name: str, body: bytes) -> tuple[int, Any]:
        assert hashlib.sha256(body).hexdigest() == name
        self.large[name] = body
        return 200, {}

    def commit(self, body: bytes) -> tuple[int, Any]:
        for line in map(json.loads, body.decode().splitlines()):
            value = line["value"]
            if line["key"] == "header":
                self.messages.append(value["summary"])
            elif line["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            else:
                self.files[value["path"]] = self.large[value["oid"]]
        return 200, {"commitUrl": f"{self.address}/a/b/commit/1", "commitOid": "1" * 40, "success": True}


@contextmanager
def serve_hub() -> Iterator[FakeHub]:
    """Runs the hub while a test lasts."""
    hub = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            hub.keys.add(self.headers["Authorization"])
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            status, value = hub.reply(self.command, self.path, body)
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Retry-After", "0")  # so that tests do not wait
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = answer  # noqa: N815  # names of the library

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield hub
    server.shutdown()
    server.server_close()
