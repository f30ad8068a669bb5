"""Secrets of the environment are found nowhere after any command: in no file, log, lock, cache, git object or output.

Every module that can be run is in one of the tables, and a test fails when one is not. The whole pipeline has run with
the same secrets (tests/scratch.py). What asks services, storages and the hub runs against servers that the tests start,
which refuse, fail and drop connections too.
"""

import base64
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests import test_noise
from tests.dvc_project import Project
from tests.export.fake_hub import FakeHub, serve_hub
from tests.hosted.fake_fine_tuning import BASE_MODEL, DROP, FakeFineTuning, Reply, error, serve_fine_tuning
from tests.planted import MARK, PLANTED, VARIABLES, Watch, holds_secret
from tests.remotes.conftest import free_port, s3_storage
from tests.scratch import ENVIRONMENT, ROOT, copy_project, set_parameters

SERVICE_KEY = PLANTED["SOME_KEY"]
PATIENCE = 120  # seconds; the machine may be busy
TITLE = "Tumblewright Bamboo Desk Lamp, Olive, 45 cm high"


class Command(NamedTuple):
    """A command, and what shows that it has done what it is for."""

    words: tuple[str, ...]
    says: str
    status: int = 0


def module(words: str, says: str, status: int = 0) -> Command:
    """A module of the project with its arguments."""
    return Command((sys.executable, "-m", *words.split()), says, status)


def dvc(words: str, says: str = "", status: int = 0) -> Command:
    """A command of DVC."""
    return Command(("dvc", *words.split()), says, status)


# In this order, in one project. Of DVC's commands those that the documentation names.
COMMANDS = [
    module("src.params check", "are valid"),
    module("src.params recipe", "gpt-4o-mini"),
    module("src.pipeline --check", ""),
    module("src.summary", "Validation loss"),
    module("src.training.kept_checkpoints list", ""),
    module("src.training.kept_checkpoints remove --all", ""),
    module("src.serving.search lamp", "Lamp"),
    Command((sys.executable, "-m", "src.serving.ask", TITLE), "Source"),
    module("src.scoring.blind", "pairs of different answers", status=1),
    module("src.export.publish a/b --dry-run", "A dry run: nothing was sent"),
    module("src.hosted", "train.endpoint has no address", status=1),
    module("src.study plot --rates 1e-3 --templates chat", "not run yet", status=1),
    module("src.noise table", "noise/noise.json is missing", status=1),
    module("src.synthetic.raw_file", "Wrote data/sample"),
    dvc("status", "up to date"),
    dvc("metrics show"),
    dvc("metrics diff"),
    dvc("plots show --out plots_shown", "file://"),
    dvc("exp run --name tried -S data.max_rejected_share=0.02", "tried"),
    dvc("exp show --md", "tried"),
    dvc("push", "pushed"),
    dvc("pull", "up to date"),
    dvc("push --remote closed score_cleaning", "failed to upload", status=1),
    dvc("exp push origin tried", "Pushed experiment"),
    dvc("exp remove tried"),
    dvc("exp pull origin tried", "Pulled experiment"),
    module("src.restore", ""),
    module("src.review HEAD tried", "review.md tells the rest"),
    module("src.certificate write", "metrics/certificate.json is new"),
    module("src.certificate compare HEAD tried", "decompress"),
    module("src.training.needed_gpu", "GB+"),
    module("src.params recipe best", "Laid recipes/best.yaml"),
    Command(("git", "checkout", "params.yaml"), ""),
]


class Workplace:
    """A project with all that its commands write to: a home, caches, remotes, all of it watched.

    Attributes:
        environment: of the commands, with a secret in every variable that may hold one.
    """

    def __init__(self, folder: Path, project: Path) -> None:
        self.folder, self.project = folder, project
        self.watch = Watch(folder)
        homes = {
            "HOME": "home",
            "TMPDIR": "tmp",
            "DVC_SITE_CACHE_DIR": "site",
            "HF_HOME": "hub",
            "XDG_CACHE_HOME": "xdg",
        }
        for name in homes.values():
            (folder / name).mkdir(exist_ok=True)
        self.environment = ENVIRONMENT | {variable: str(folder / name) for variable, name in homes.items()}
        self.environment |= {"DVC_NO_ANALYTICS": "1", "PYTHONUNBUFFERED": "1", "NO_PROXY": "*"}

    def run(self, command: Command, extra: Mapping[str, str] | None = None) -> str:
        """What a command prints; nothing that it prints or leaves holds a secret.

        Args:
            command: which one.
            extra: more of the environment.
        """
        done = subprocess.run(
            command.words,
            cwd=self.project,
            env=self.environment | dict(extra or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=600,
        )
        printed = done.stdout + done.stderr
        self.check(printed)
        text = printed.decode(errors="replace")
        assert (done.returncode, command.says.lower() in text.lower()) == (command.status, True), text
        return text

    def check(self, printed: bytes) -> None:
        """Searches what was printed, and all that is new on the disk."""
        assert not holds_secret(printed), printed.decode(errors="replace").replace(MARK.decode(), "<SECRET>")
        assert self.watch.found() == []


@pytest.fixture(scope="module")
def workplace(reproduced: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The small project, reproduced with the secrets in its environment, with git and DVC remotes."""
    folder = tmp_path_factory.mktemp("secrets")
    place = Workplace(folder, copy_project(reproduced[0], folder / "project"))
    assert not holds_secret(reproduced[1].encode())
    for words in (
        "git add -A",
        "git commit -qm reproduced",
        f"git init -q --bare {folder}/origin.git",
        f"git remote add origin {folder}/origin.git",
        f"dvc remote add --default folder {folder}/remote",
        f"dvc remote add closed http://127.0.0.1:{free_port()}/cache",
        "git commit -qam remotes",
    ):
        place.run(Command(tuple(words.split()), ""))
    return place


@pytest.fixture
def service() -> Iterator[FakeFineTuning]:
    """A service whose key is one of the secrets, and which is quick."""
    with serve_fine_tuning() as served:
        served.key, served.steps = SERVICE_KEY, 2
        served.new_file_status = ["processed"]
        yield served


@pytest.fixture
def hosted(workplace: Workplace, service: FakeFineTuning) -> Iterator[Workplace]:
    """The project with that service; its results are brought back."""
    endpoint = {"address": service.address, "model": BASE_MODEL, "key_variable": "SOME_KEY"}
    parameters = workplace.project / "params.yaml"
    before = parameters.read_bytes()
    values = {"train.backend": "openai", "train.endpoint": endpoint, "train.price": 0.0}
    set_parameters(workplace.project, values | {"evaluate.endpoints": [endpoint | {"name": "other"}]})
    set_parameters(workplace.project, {"evaluate.judge": "other"})
    yield workplace
    parameters.write_bytes(before)


@pytest.fixture
def results(workplace: Workplace) -> Iterator[None]:
    """Brings the results back that a test writes over."""
    yield
    workplace.run(dvc("checkout --force"))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.words[1:6]))
def test_a_command_leaves_no_secret(workplace: Workplace, command: Command) -> None:
    workplace.run(command)


def listed(method: str, path: str, reply: Reply) -> Callable[[str, str, int], Reply | None]:
    """What a service answers to one request."""
    return lambda asked, place, number: reply if (asked, place) == (method, path) else None


JOBS = "/fine_tuning/jobs"
FAILING: dict[str, tuple[str, Reply, str]] = {
    "401": (JOBS, error(401, f"Incorrect API key provided: {SERVICE_KEY}"), "HTTP 401"),
    "429": (JOBS, error(429, f"{SERVICE_KEY} asks too often"), "lets you wait"),
    "500": (JOBS, error(500, f"Bearer {SERVICE_KEY}"), "fails to look for a job"),
    "no JSON": (JOBS, (200, f"<b>{SERVICE_KEY}</b>".encode()), "fails to look for a job"),
}


@pytest.mark.parametrize("name", FAILING)
def test_training_that_a_service_refuses_leaves_no_secret(
    hosted: Workplace, service: FakeFineTuning, name: str
) -> None:
    path, reply, says = FAILING[name]
    service.before = listed("GET", path, reply)
    hosted.run(module("src.stages.train", says, status=1), {"OPENAI_LOG": "debug"})


def test_training_asking_and_judging_by_a_service_leave_no_secret(
    results: None, hosted: Workplace, service: FakeFineTuning
) -> None:
    service.after = lambda method, path, number: DROP if (method, path, number) == ("POST", JOBS, 0) else None
    debug = {"OPENAI_LOG": "debug"}
    hosted.run(module("src.stages.train", "ft:small"), debug)
    hosted.run(module("src.hosted list", "succeeded"))
    hosted.run(module("src.hosted cancel ftjob-1", "cancelled"))
    for stage in ("generate tuned", "generate_endpoints", "judge"):
        hosted.run(module(f"src.stages.{stage}", stage.split()[0]), debug)
    service.before = listed("POST", "/chat/completions", error(500, f"Bearer {SERVICE_KEY}"))
    hosted.run(module("src.stages.generate base", "gives no answer", status=1), debug)
    # Of all secrets the service was sent its own key alone.
    assert {value for sent in service.headers for value in sent if holds_secret(value.encode())} == {
        f"Bearer {SERVICE_KEY}"
    }


@pytest.mark.parametrize("status", [401, 403, 200])  # what else fails is tried again for minutes
def test_publishing_leaves_no_secret(workplace: Workplace, status: int) -> None:
    with serve_hub() as hub:
        if status != 200:
            hub.fails = {"/api/repos/create": status, "/api/models/a/b": status}
        says = f"{hub.address}/a/b/commit/1" if status == 200 else f"the hub refused a/b ({status})"
        command = module("src.export.publish a/b", says, status=int(status != 200))
        workplace.run(command, {"HF_ENDPOINT": hub.address, "HF_HUB_DISABLE_XET": "1"})
        assert_sent(hub)


def assert_sent(hub: FakeHub) -> None:
    """Makes sure that a hub was sent the token, without which the test would tell nothing."""
    assert f"Bearer {PLANTED['HF_TOKEN']}" in hub.keys


def test_a_base_that_the_hub_refuses_leaves_no_secret(workplace: Workplace) -> None:
    parameters = workplace.project / "params.yaml"
    before = parameters.read_bytes()
    set_parameters(workplace.project, {"base.source": "hub", "base.repository": "a/b", "base.revision": "0" * 40})
    with serve_hub() as hub:
        hub.fails = {"/api/models": 401}
        workplace.run(module("src.stages.base", "", status=1), {"HF_ENDPOINT": hub.address})
        assert_sent(hub)
    odd = {"HF_TOKEN": f"hf_{MARK.decode()}é"}  # no header can hold it
    workplace.run(module("src.stages.base", "holds characters that no token has", status=1), odd)
    parameters.write_bytes(before)
    workplace.run(module("src.export.publish a/b", "holds characters that no token has", status=1), odd)


def test_a_key_that_no_header_can_hold_is_not_shown(hosted: Workplace) -> None:
    for key in (f"{SERVICE_KEY}é", f"{SERVICE_KEY}\nx"):
        hosted.run(module("src.stages.train", "holds characters that no key has", status=1), {"SOME_KEY": key})


def serve(workplace: Workplace, *words: str) -> tuple["subprocess.Popen[bytes]", str]:
    """A server of the project, and the address that it tells."""
    command = [sys.executable, "-m", *words]
    process = subprocess.Popen(
        command, cwd=workplace.project, env=workplace.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout
    greeting = process.stdout.readline()
    found = re.search(rb"http://[\w.:]+", greeting)
    assert found, greeting
    return process, found[0].decode()


def stop(workplace: Workplace, process: "subprocess.Popen[bytes]") -> None:
    """Stops a server, and searches what it has printed and left."""
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=PATIENCE)
    workplace.check(printed)


def test_the_api_leaves_no_secret(workplace: Workplace) -> None:
    process, address = serve(workplace, "src.serving.api", "--port", "0", "--slots", "1", "--log-prompts")
    key = PLANTED["SHELFTALK_API_KEY"]
    question = {"model": "shelftalk", "max_tokens": 4, "messages": [{"role": "user", "content": "Oak Desk Lamp"}]}
    replies = [
        httpx.post(
            f"{address}/v1/{path}", json=question, headers={"Authorization": f"Bearer {given}"}, timeout=PATIENCE
        )
        for path in ("chat/completions", "none")
        for given in (key, f"{key}-wrong")
    ]
    stop(workplace, process)
    assert [reply.status_code for reply in replies] == [200, 401, 404, 404]
    assert not any(holds_secret(reply.content) for reply in replies)


def test_the_page_leaves_no_secret(workplace: Workplace) -> None:
    process, address = serve(workplace, "src.serving.app", "--port", str(free_port()), "--log-prompts")
    password = PLANTED["SHELFTALK_PASSWORD"]
    with httpx.Client(base_url=address, timeout=PATIENCE, transport=httpx.HTTPTransport(retries=20)) as client:
        statuses = [
            client.post("/login", data={"username": "me", "password": given}).status_code
            for given in (f"{password}-wrong", password)
        ]
        shown = client.get("/").content + client.get("/config").content
    stop(workplace, process)
    assert statuses == [400, 200]
    assert not holds_secret(shown)


def test_queued_experiments_leave_no_secret(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    place = Workplace(tmp_path, tmp_path / "project")
    project.environment |= place.environment | {"PYTHONPATH": str(ROOT)}
    place.environment = project.environment
    files = {"params.yaml": "train: {seed: 42}\n", "dvc.yaml": test_noise.PIPELINE, "train.py": test_noise.TRAIN}
    project.start(files)
    place.run(module("src.noise run --seeds 1 4", "in the queue"))
    place.run(dvc("queue logs seed-1", "trained under 1"))
    project.stop()
    place.check(b"")


def test_live_curves_leave_no_secret(results: None, workplace: Workplace) -> None:
    pytest.importorskip("wandb", reason="needs `make extra-wandb`")
    parameters = workplace.project / "params.yaml"
    before = parameters.read_bytes()
    set_parameters(workplace.project, {"train.report_to": "wandb"})
    workplace.run(module("src.stages.train", "validation loss"), {"WANDB_MODE": "offline"})
    assert list((workplace.project / ".live").rglob("*.wandb"))
    parameters.write_bytes(before)


def test_a_push_to_s3_leaves_no_secret(workplace: Workplace, tmp_path: Path) -> None:
    with s3_storage(tmp_path) as storage:
        for words in (
            f"dvc remote add --local bucket {storage.url}",
            *(f"dvc remote modify --local bucket {name} {value}" for name, value in storage.options.items()),
        ):
            workplace.run(Command(tuple(words.split()), ""))
        workplace.run(dvc("push --remote bucket score_cleaning", "pushed"))  # moto lets every key in
        workplace.run(dvc("push --remote bucket score_cleaning --verbose", "up to date"))


def test_cleaning_on_many_machines_leaves_no_secret(workplace: Workplace) -> None:
    pytest.importorskip("datatrove", reason="needs `make extra-datatrove`")
    (workplace.project / "shards").mkdir()
    shutil.copy(workplace.project / "data/sample/trn.json.gz", workplace.project / "shards/1.json.gz")
    workplace.run(module("src.cluster shards cleaned --executor local", "Clean shards: cleaned"))


ALONE: dict[str, object] = {
    "src.cluster": test_cleaning_on_many_machines_leaves_no_secret,
    "src.serving.api": test_the_api_leaves_no_secret,
    "src.serving.app": test_the_page_leaves_no_secret,
}
# Minutes, without a client of anything: it writes the model that is committed.
NOT_RUN = {"src.synthetic.pretrain"}


def runnable() -> set[str]:
    """Every module of the project that can be run."""
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")}
    names = [
        path.relative_to(ROOT).with_suffix("").parts for path, text in texts.items() if '__name__ == "__main__"' in text
    ]
    return {".".join(name).removesuffix(".__main__") for name in names}


def modules_in(text: str) -> set[str]:
    """The modules of the project that a text runs."""
    return set(re.findall(r"-m (src\.[\w.]+)", text))


def test_no_command_is_left_out() -> None:
    stages = modules_in((ROOT / "dvc.yaml").read_text())  # run when the project was reproduced
    tried = modules_in("\n".join(" ".join(command.words) for command in COMMANDS)) | set(ALONE) | NOT_RUN
    assert runnable() - stages - tried == set()
    assert modules_in((ROOT / "Makefile").read_text()) <= stages | tried


def test_no_variable_is_left_out() -> None:
    """What src reads from the environment under a name that tells of a secret is planted."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")]
    named = {name for text in texts for name in re.findall(r'"([A-Z][A-Z0-9_]*_(?:KEY|TOKEN|PASSWORD|SECRET))"', text)}
    assert named and named <= set(VARIABLES)


def test_what_is_planted_is_found(tmp_path: Path) -> None:
    """Wherever a command might leave it, also under Base64; otherwise the tests above would tell nothing."""
    watch = Watch(tmp_path)
    secret = PLANTED["HF_TOKEN"]
    repository = tmp_path / "project"
    subprocess.run(["git", "init", "-q", repository], check=True)
    assert watch.found() == []
    for name, content in {"a": secret, "b": base64.b64encode(f"me:{secret}".encode()).decode()}.items():
        (tmp_path / name).write_text(content)
        assert watch.found() == [str(tmp_path / name)]
    assert watch.found() == []
    hashed = ["git", "hash-object", "-w", "--stdin"]
    subprocess.run(hashed, cwd=repository, input=secret.encode(), check=True, capture_output=True)
    assert watch.found() == [str(repository / ".git")]
