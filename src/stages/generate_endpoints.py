"""Writes the answers to the test prompts of models behind OpenAI-compatible endpoints, those of evaluate.endpoints.

The results are in data/generations/endpoints: NAME.jsonl for each endpoint, and asked.json, which tells what was asked
where. A hosted model may change under its name, so that this stage's result does not follow from its inputs alone; what
an endpoint has answered is kept in .answers/NAME.jsonl and not asked for again.
"""

from collections.abc import Sequence
from pathlib import Path

from src.files import atomic_folder, read_jsonl, write_json
from src.inference.endpoint import EndpointEngine
from src.inference.endpoint_rows import make_generation
from src.inference.engine import sampling_of
from src.params import Params
from src.scoring.generations import write_generations
from src.stages.runner import Outcome, run_stage

FOLDER = Path("data/generations/endpoints")


def main(params: Params) -> Outcome:
    """Answers generate.records test prompts by every endpoint."""
    generate, sampling = params.generate, sampling_of(params.generate)
    records = read_jsonl("data/prompts/test.jsonl")[: generate.records or None]
    engines = [EndpointEngine(endpoint) for endpoint in params.evaluate.endpoints]  # a missing key shows at once

    with atomic_folder(FOLDER) as folder:
        for engine in engines:
            answers = engine.answer([record["prompt"] for record in records], sampling)
            write_generations(folder / f"{engine.endpoint.name}.jsonl", map(make_generation, records, answers))
        write_json(folder / "asked.json", [engine.endpoint.model_dump(exclude={"key_variable"}) for engine in engines])

    return Outcome(describe_endpoints([engine.endpoint.name for engine in engines], len(records)))


def describe_endpoints(names: Sequence[str], records: int) -> str:
    """The line that the stage ends with.

    Args:
        names: of the endpoints.
        records: that each answered.
    """
    return f"{records:,} answers each of {', '.join(names)}" if names else "evaluate.endpoints names none"


if __name__ == "__main__":
    run_stage(main)
