"""What many tests share: a tiny base model with random weights, its tokenizers, records, training parameters.

And the whole pipeline, reproduced once in a scratch copy, in the background. The numeric libraries are set up as a
stage sets them up, before torch is imported.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import settings

from src import numerics, params
from src.params import TemplateName
from src.prompts.rendering import prompt_and_completion, prompt_turns
from tests.browser import browser, open_page  # noqa: F401  # fixtures
from tests.changes import FOLLOWS, changes_by_test
from tests.scratch import Background, ProjectWorker, Reproduction, make_project, reproduce_project, submit_groups
from tests.tiny_bases import FAMILIES

ROOT = Path(__file__).parents[1]
INSTRUCTION, QUESTION = "Describe the product that has this title.", "Title: {title}"
FORMAT = params.FormatParams(
    template="chat",
    instruction=INSTRUCTION,
    question=QUESTION,
    openai=False,
    context="none",
    context_records=1,
    context_chars=300,
)

numerics.fix_cpu()
settings.register_profile("no-deadline", deadline=None)  # the first example pays for imports
settings.load_profile("no-deadline")


@pytest.fixture(scope="session", autouse=True)
def early_pipelines(request: pytest.FixtureRequest) -> None:
    """Starts the pipelines that later tests ask for with the first test.

    They are processes that mostly import torch, on one core each, as most tests compute on one: side by side they take
    little longer than the longer of the two.
    """
    asked = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    for name in asked & {"reproducing", "outcomes"}:
        request.getfixturevalue(name)


@pytest.fixture(scope="session")
def scratch_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git would commit, its parameters made small."""
    folder = tmp_path_factory.mktemp("scratch") / "project"
    make_project(folder)
    return folder


@pytest.fixture(scope="session")
def reproducing(scratch_project: Path) -> Iterator[Future[tuple[Path, str]]]:
    """The project below, while it is reproduced."""
    background = Background()
    yield background.submit(reproduce_project, scratch_project)
    background.stop()


@pytest.fixture(scope="session")
def reproduced(reproducing: Future[tuple[Path, str]]) -> tuple[Path, str]:
    """A copy of what git would commit, its parameters made small, reproduced once; and what that printed.

    Not to be changed: `scratch.copy_project` gives a copy of it at once.
    """
    return reproducing.result()


@pytest.fixture(scope="session")
def outcomes(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    scratch_project: Path,
    reproducing: Future[tuple[Path, str]],
) -> Iterator[dict[str, Future[Reproduction]]]:
    """What the change of each test that is to run will have done, by the test's name."""
    folder, names = tmp_path_factory.mktemp("workers"), {item.name for item in request.session.items}
    names |= {FOLLOWS[name] for name in names if name in FOLLOWS}
    workers = [
        ProjectWorker(scratch_project, reproducing, folder / str(number)) for number in range(os.cpu_count() or 1)
    ]
    asked = [{name: change for name, change in group.items() if name in names} for group in changes_by_test()]
    yield submit_groups(workers, asked)
    for worker in workers:
        worker.stop()


@pytest.fixture
def outcome(request: pytest.FixtureRequest, outcomes: dict[str, Future[Reproduction]]) -> Reproduction:
    """What the change of this test has done."""
    return outcomes[request.node.name].result()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with this project's params.yaml, its defaults and dvc.yaml, as the current one."""
    (tmp_path / "recipes").mkdir()
    for name in ("params.yaml", "dvc.yaml", "recipes/defaults.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model's folder: the tiny tokenizer, trained on few products, and random weights."""
    from src.synthetic import tiny_model
    from src.synthetic.catalogue import generate_products

    folder = tmp_path_factory.mktemp("base")
    tokenizer = tiny_model.train_tokenizer(
        [f"{product.title} {product.content}" for product in generate_products(seed=5, count=200)]
    )
    numerics.seed_everything(5)
    tiny_model.new_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def family_base(base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a base model of another family by its name in FAMILIES, made when it is first asked for."""
    folder = tmp_path_factory.mktemp("families")
    return cache(lambda name: FAMILIES[name](folder / name.replace(" ", "-"), base_folder))


@pytest.fixture(params=get_args(TemplateName))
def template(request: pytest.FixtureRequest) -> TemplateName:
    """Each template's name in turn."""
    return request.param


@pytest.fixture(scope="session")
def load(base_folder: Path) -> Callable[[TemplateName], Any]:
    """The tiny base's tokenizer with the template of a name."""
    from src.prompts.tokenizers import load_tokenizer

    loaded = {name: load_tokenizer(base_folder, name) for name in get_args(TemplateName)}
    return loaded.__getitem__


@pytest.fixture
def tokenizer(load: Callable[[TemplateName], Any], template: TemplateName) -> Any:
    """The tiny base's tokenizer with each template in turn."""
    return load(template)


@pytest.fixture
def chat_tokenizer(load: Callable[[TemplateName], Any]) -> Any:
    """The tiny base's tokenizer with its own chat template."""
    return load("chat")


@pytest.fixture(scope="session")
def model(base_folder: Path) -> Any:
    """The tiny base in 32 bits; not to be changed."""
    from src.models.loading import load_adapted

    return load_adapted(base_folder, None, four_bit=False)


@pytest.fixture(scope="session")
def record() -> Callable[..., dict[str, Any]]:
    """A formatted record from a title and an answer."""

    def formatted(template: TemplateName, title: str, answer: str) -> dict[str, Any]:
        return {"title": title} | prompt_and_completion(template, prompt_turns(INSTRUCTION, QUESTION, title), answer)

    return formatted


@pytest.fixture
def train_params() -> params.TrainParams:
    """Training parameters for a run of a few steps."""
    return params.TrainParams(
        backend="transformers",
        endpoint=params.ServiceParams(address="", model="", key_variable=""),
        hosted=params.HostedParams(epochs=0, batch_size=0, lr_multiplier=0.0, suffix=""),
        price=-1.0,
        max_cost=0.0,
        launcher="python -m",
        four_bit=False,
        max_length=128,
        packing=True,
        attention="auto",
        compile=False,
        deterministic=False,
        rounds=1,
        epochs=2,
        max_steps=0,
        batch_size=2,
        accumulation=2,
        lr=2e-3,
        scheduler="cosine",
        warmup_steps=1,
        optimizer="adamw_torch",
        weight_decay=0.01,
        max_grad_norm=1.0,
        lora_r=4,
        lora_alpha=8,
        lora_dropout=0.0,
        gradient_checkpointing=False,
        log_steps=1,
        eval_steps=2,
        eval_records=0,
        early_stopping=0,
        best_checkpoint=False,
        save_steps=2,
        report_to="none",
        seed=42,
    )
