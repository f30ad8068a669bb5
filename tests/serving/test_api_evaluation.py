"""The API as an endpoint of the project's own evaluation: its answers are those of the models in the pipeline."""

from pathlib import Path

import pytest

from src.files import read_jsonl
from src.inference.endpoint import EndpointEngine
from src.inference.engine import Sampling
from src.params import EndpointParams
from src.serving.note import read_note
from tests.serving.api_server import serve_api

DIFFERENT = 1  # of six answers: 8 bits and llama.cpp's kernels change a close choice of a token now and then


def test_the_api_answers_the_evaluation_as_the_models_did(
    reproduced: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = reproduced
    prompts = {row["uid"]: row["prompt"] for row in read_jsonl(project / "data/prompts/test.jsonl")}
    sampling: Sampling = read_note(project / "models/export").sampling
    monkeypatch.chdir(tmp_path)  # where answers of endpoints are kept
    with serve_api(project, tmp_path / "log") as server:
        for system, model in (("tuned", "shelftalk"), ("base", "shelftalk-base")):
            rows = list(read_jsonl(project / f"data/generations/{system}.jsonl"))
            endpoint = EndpointParams(name=system, address=server.address, model=model, key_variable="")
            answers = EndpointEngine(endpoint, {}).answer([prompts[row["uid"]] for row in rows], sampling)
            same = [answer.text == row["answer"] for answer, row in zip(answers, rows, strict=True)]
            assert len(rows) == 6
            assert sum(same) >= len(rows) - DIFFERENT
