"""What names interrupted work: all that dvc.yaml declares for a stage, and for one of its variants."""

from pathlib import Path

import pytest

from src.fingerprints import declared_files, stage_fingerprint
from src.params import Params, load_params

DECLARED = """\
stages:
  answer:
    foreach:
      one: {model: models/one}
      two: {model: models/two}
    do:
      cmd: python -m src.stages.answer ${key}
      deps: [prompts, "${item.model}"]
      params: [generate.seed, generate.batch_size]
"""


@pytest.fixture
def params(project: Path) -> Params:
    """The parameters of a project with a stage in two variants."""
    params = load_params()
    Path("dvc.yaml").write_text(DECLARED)
    for name in ("prompts", "models/one/weights", "models/two/weights"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("content")
    return params


def test_a_variant_has_its_own_files(params: Params) -> None:
    assert declared_files("answer", "two") == [Path("models/two/weights"), Path("prompts")]
    one, two = (stage_fingerprint("answer", params, variant) for variant in ("one", "two"))
    assert one != two
    Path("models/two/weights").write_text("others")
    assert stage_fingerprint("answer", params, "one") == one
    assert stage_fingerprint("answer", params, "two") != two


def test_what_has_no_effect_does_not_count_and_what_is_added_does(params: Params) -> None:
    changed = params.model_copy(update={"generate": params.generate.model_copy(update={"batch_size": 3})})
    assert stage_fingerprint("answer", changed, "one") != stage_fingerprint("answer", params, "one")
    without = {("generate", "batch_size")}
    assert stage_fingerprint("answer", changed, "one", without) == stage_fingerprint("answer", params, "one", without)
    assert stage_fingerprint("answer", params, "one", further={"processes": 2}) != stage_fingerprint(
        "answer", params, "one"
    )
