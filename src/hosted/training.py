"""Has a service train: examples checked and priced, files sent, one job a round followed to its end, results written.

Covers the order of things. A round starts from the model of the one before. Whatever ends this process, the same
command finds the files and jobs that are there and goes on: nothing is sent or paid for twice.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from src.files import atomic_file, read_jsonl, write_json, write_tsv
from src.hosted.adapter import HostedModel, describe_job, write_hosted_adapter
from src.hosted.costs import Estimate, cost_of, estimate_cost
from src.hosted.curves import Curves, make_curves, read_results
from src.hosted.examples import LEAST_EXAMPLES, Examples, make_examples
from src.hosted.following import follow_job
from src.hosted.refusals import no_model, refuse_unstated_price
from src.hosted.service import Request, Service
from src.params import Params, TrainParams
from src.progress import print_line
from src.prompts.tokenizers import load_tokenizer
from src.training.history import Point
from src.training.schedule import split_rounds

if TYPE_CHECKING:
    from openai.types.fine_tuning import FineTuningJob

BASE, PROMPTS, ADAPTER = Path("models/base"), Path("data/prompts"), Path("models/adapter")
TABLES, REPORT, METRICS = Path("data/tables/train"), "data/reports/train.json", "metrics/train.json"


class AllExamples(NamedTuple):
    """What is sent: the training examples of each round, and those of the validation."""

    rounds: list[Examples]
    validation: Examples


def train_hosted(params: Params) -> tuple[str, dict[str, Any]]:
    """Trains by train.endpoint, and writes what the train stage writes.

    Args:
        params: the parameters.

    Returns:
        The line that the stage ends with, and what differs between two runs.

    Raises:
        UserError: if the examples break the API's rules, cost too much, or the service does not train on them.
    """
    train = params.train
    refuse_unstated_price(train.price)
    service = Service(train.endpoint)  # a missing key shows at once
    examples = read_examples(params)
    estimate = estimate_cost(examples.rounds, train)
    print_line(describe_estimate(estimate, train))

    jobs, curves = train_rounds(service, examples, train)
    entries = [describe_job(job, service.checkpoints(job.id)) for job in jobs]
    model = write_hosted_adapter(ADAPTER, train.endpoint, entries)
    write_curve(TABLES / "training.tsv", curves.training)
    write_curve(TABLES / "validation.tsv", curves.validation)
    figures = report(examples, estimate, curves, entries, train)
    write_json(REPORT, figures | {"base": model["base"], "fine_tuned_model": model["model"], "backend": train.backend})
    write_json(METRICS, {"device": None, "backend": train.backend, "validation_loss": figures["validation_loss_kept"]})
    return describe_training(model, figures), {"training_seconds": seconds_of(entries)}


def read_examples(params: Params) -> AllExamples:
    """The examples of data/prompts, checked.

    Raises:
        UserError: naming what the service would refuse.
    """
    train, tokenizer = params.train, load_tokenizer(BASE, params.format.template)
    records = {split: PROMPTS / f"{split}.jsonl" for split in ("train", "validation")}
    parts = split_rounds(read_jsonl(records["train"]), train.rounds)
    held_out = read_jsonl(records["validation"])[: train.eval_records or None]
    return AllExamples(
        [make_examples(part, tokenizer, str(records["train"]), LEAST_EXAMPLES) for part in parts],
        make_examples(held_out, tokenizer, str(records["validation"]), least=1),
    )


def train_rounds(service: Service, examples: AllExamples, train: TrainParams) -> "tuple[list[FineTuningJob], Curves]":
    """The jobs of all rounds, ended well, and their curves as one.

    Args:
        service: where they run.
        examples: what is sent.
        train: the parameters of training.

    Raises:
        UserError: if a job does not end well.
    """
    jobs: list[FineTuningJob] = []
    curves, model = Curves(), train.endpoint.model
    for number, part in enumerate(examples.rounds, start=1):
        if train.rounds > 1:
            print_line(f"Round {number} of {train.rounds}, from {model}.")
        files = {"training_file": part.content, "validation_file": examples.validation.content}
        job = follow_job(service, service.provide_job(make_request(model, train), files))
        if not job.fine_tuned_model:
            raise no_model(job.id)
        model, curves = job.fine_tuned_model, curves.then(read_curves(service, job))
        jobs.append(job)
    return jobs, curves


def make_request(model: str, train: TrainParams) -> Request:
    """What a job is created with, less its files; a hyperparameter of 0 is left out, so that the service chooses it.

    Args:
        model: what it starts from.
        train: the parameters of training.
    """
    hosted = train.hosted
    named = {
        "n_epochs": hosted.epochs,
        "batch_size": hosted.batch_size,
        "learning_rate_multiplier": hosted.lr_multiplier,
    }
    hyperparameters = {name: value for name, value in named.items() if value}
    return {
        "model": model,
        "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
        "seed": train.seed,
        **({"suffix": hosted.suffix} if hosted.suffix else {}),
    }


def read_curves(service: Service, job: "FineTuningJob") -> Curves:
    """The loss curves of a job that is over: from its events, or where they tell no loss from its results.

    Args:
        service: where it is.
        job: which one.
    """
    chosen = describe_job(job, [])["hyperparameters"].get("n_epochs")
    epochs = float(chosen) if isinstance(chosen, int | float) else 1.0
    told = [event.data for event in service.events(job.id) if isinstance(event.data, dict)]
    curves = make_curves(told, epochs)
    if curves.training or not job.result_files:
        return curves
    return make_curves(read_results(service.read_file(job.result_files[0])), epochs)


def write_curve(path: Path, points: Sequence[Point]) -> None:
    """Writes a loss curve's table; a service may tell no loss, which leaves the header alone.

    Args:
        path: the file.
        points: in their order.
    """
    if points:
        write_tsv(path, points)
        return
    with atomic_file(path) as partial:
        partial.write_text("step\tepoch\tloss\n", encoding="utf-8")


def report(
    examples: AllExamples, estimate: Estimate, curves: Curves, entries: Sequence[dict[str, Any]], train: TrainParams
) -> dict[str, Any]:
    """The figures of data/reports/train.json.

    Args:
        examples: what was trained on.
        estimate: of the cost.
        curves: of all rounds.
        entries: of all jobs.
        train: the parameters of training.
    """
    tokens = sum(entry["trained_tokens"] or 0 for entry in entries)
    training, validation = ([point["loss"] for point in curve] for curve in (curves.training, curves.validation))
    return {
        "records": sum(part.records for part in examples.rounds),
        "rounds": len(entries),
        "steps": curves.steps,
        "epochs": curves.epochs,
        "trained_tokens": tokens,
        "estimated_tokens": estimate.tokens,
        "cost": cost_of(tokens, train.price),
        "estimated_cost": estimate.cost,
        "training_loss_last": training[-1] if training else None,
        "validation_loss_first": validation[0] if validation else None,
        "validation_loss_best": min(validation, default=None),
        "validation_loss_kept": validation[-1] if validation else None,
    }


def describe_estimate(estimate: Estimate, train: TrainParams) -> str:
    """What training is going to cost, in words.

    Args:
        estimate: of all rounds.
        train: the parameters of training.
    """
    passes = "as many passes as the service usually chooses" if not train.hosted.epochs else "all passes"
    return (
        f"About {estimate.tokens:,} training tokens over {passes}, counted by the tokenizer of {BASE}: at train.price "
        f"{train.price:g} a million about {estimate.cost:,.2f}, of {train.max_cost:,.2f} allowed (train.max_cost)."
    )


def describe_training(model: HostedModel, figures: dict[str, Any]) -> str:
    """The line that the stage ends with.

    Args:
        model: the tuned one.
        figures: of the report.
    """
    first, last = figures["validation_loss_first"], figures["validation_loss_kept"]
    loss = f"validation loss {first:.3f} to {last:.3f} nats a token" if last is not None else "no validation loss told"
    return f"{model['model']}: {loss}, {figures['trained_tokens']:,} tokens for {figures['cost']:,.2f}"


def seconds_of(entries: Sequence[dict[str, Any]]) -> int:
    """How long the jobs took, waiting in the queue included."""
    return sum((entry["finished_at"] or 0) - (entry["created_at"] or 0) for entry in entries if entry["finished_at"])
