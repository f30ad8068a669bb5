"""README, docs/ and CONTRIBUTING.md: tables and results are the project's, and what they name exists."""

import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml.comments import CommentedMap

from benchmarks.workload import SHAPES
from docs import build, example, needs, picture, stages
from src.errors import UserError
from src.files import read_json, read_tsv, write_tsv
from src.params import PARAMS, read_yaml
from src.scoring.scores import Score
from src.training.memory import BITS_16, BITS_32, GIGABYTE, base_bytes

ROOT = Path(__file__).parents[1]
TEXTS = [Path("README.md"), Path("CONTRIBUTING.md"), *sorted(path.relative_to(ROOT) for path in ROOT.glob("docs/*.md"))]
LONGEST_README = 150  # lines

LINK = re.compile(r"\]\(([^)\s]+)\)")
MODULE = re.compile(r"python -m ([\w.]+)")
TARGET = re.compile(r"(?:`|^ {4})make ([a-z0-9-]+)", re.MULTILINE)
PLACE = re.compile(r"`((?:src|tests|docs|recipes|benchmarks|data/sample|\.dvc)/[\w./-]*)`")
SECTIONS = "data|clean|sample|format|base|audit|train|generate|evaluate|export"
PARAMETER = re.compile(rf"(?:`|-S '?|[ =])((?:{SECTIONS})\.[a-z_]+)\b")
PLACEHOLDERS = ("NAME",)
FILE_ENDINGS = ("json", "md", "parquet", "py", "tsv")  # `train.json` is a file and no parameter


@pytest.fixture(autouse=True)
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the project's root, from which the docs' paths are given."""
    monkeypatch.chdir(ROOT)


def found_in(path: Path, pattern: re.Pattern[str]) -> set[str]:
    """What a pattern finds in a text, placeholders left out."""
    found = set(pattern.findall(path.read_text(encoding="utf-8")))
    return {name for name in found if not any(placeholder in name for placeholder in PLACEHOLDERS)}


def anchors(path: Path) -> Iterator[str]:
    """The anchors of a text's headings, as GitHub makes them."""
    for heading in re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", sorted({path for block in build.BLOCKS for path in block.files}), ids=str)
def test_blocks_are_up_to_date(path: Path) -> None:
    assert build.fill_blocks(path) == path.read_text(encoding="utf-8"), "run `make docs`"


def test_the_picture_is_up_to_date() -> None:
    assert picture.picture_is_current(), "run `make docs`"


@pytest.mark.parametrize("path", TEXTS, ids=str)
def test_every_marker_is_of_a_block_that_belongs_there(path: Path) -> None:
    named = re.findall(r"<!-- ([\w-]+) -->", path.read_text(encoding="utf-8"))
    assert named == [
        block.name for block in sorted(build.BLOCKS, key=lambda one: position(one, path)) if path in block.files
    ]


def position(block: build.Block, path: Path) -> int:
    """Where a block's first marker is in a text."""
    return path.read_text(encoding="utf-8").find(f"<!-- {block.name} -->")


def test_a_file_without_a_blocks_markers_is_refused(tmp_path: Path) -> None:
    block = build.Block("stages", (tmp_path,), lambda: "")
    for text in ("no markers", "<!-- stages --> no end", "no start <!-- /stages -->"):
        with pytest.raises(UserError, match="lacks the lines <!-- stages --> and <!-- /stages -->"):
            build.fill_block(text, block, Path("some.md"))


def test_filling_a_block_changes_nothing_around_it() -> None:
    block = build.Block("one", (), lambda: "new")
    assert build.fill_block("a\n<!-- one -->\nold\n<!-- /one -->\nb", block, Path("some.md")) == (
        "a\n<!-- one -->\nnew\n<!-- /one -->\nb"
    )


def test_blocks_hold_every_stage_and_parameter() -> None:
    shown, listed = stages.stages_table(), build.parameters_table()
    assert all(f"| `{stage}` |" in shown for stage in read_yaml(stages.PIPELINE)["stages"])
    assert "| `train.lr` |" in listed
    sections = read_yaml(PARAMS).values()
    values = [value for section in sections for value in section.values() if isinstance(value, CommentedMap)]
    groups = [value for value in values if not value.fa.flow_style()]  # data.columns is one line
    assert listed.count("\n| `") == sum(map(len, [*sections, *groups]))
    assert "| `train.endpoint.model` | `''` |" in listed


@pytest.mark.parametrize(
    ("shape", "weights"),
    [("Llama-3.2-1B", 1_235_814_400), ("Llama-3-8B", 8_030_261_248), ("TinyLlama-1.1B", 1_100_048_384)],
)
def test_what_recipes_need_is_of_models_as_large_as_published(shape: str, weights: int) -> None:
    assert base_bytes(SHAPES[shape], four_bit=False) == weights * BITS_16
    recipes = needs.hub_recipes()[shape]
    for params in recipes.values():
        disk, memory, gpu = needs.recipe_needs(params)
        assert disk > 2 * weights * BITS_16 / GIGABYTE and memory > weights * BITS_32 / GIGABYTE
        assert gpu >= base_bytes(SHAPES[shape], four_bit=params.train.four_bit) / GIGABYTE
    assert all(f"| `{name}` |" in needs.needs_table() for name in recipes)


def test_results_of_another_model_are_refused(project: Path) -> None:
    text = PARAMS.read_text(encoding="utf-8")
    for shown, other in (("source: local", "source: hub"), ("raw: data/sample/", "raw: data/raw/")):
        assert text.count(shown) == 1
        PARAMS.write_text(text.replace(shown, other), encoding="utf-8")
        with pytest.raises(UserError, match=r"git checkout params\.yaml"):
            build.results_summary()


def test_the_diagram_leaves_out_arrows_that_follow_from_others() -> None:
    definitions = {
        "first": {"outs": ["data/one"]},
        "second": {"deps": ["data/one"], "metrics": [{"metrics/two.json": {"cache": False}}]},
        "third": {"deps": ["data/one/part.jsonl", "metrics/two.json", "data/ones"]},
    }
    assert stages.stage_edges(definitions) == {("first", "second"), ("first", "third"), ("second", "third")}
    assert stages.direct_edges(definitions) == [("first", "second"), ("second", "third")]


def test_the_diagram_draws_every_stage_of_a_loop() -> None:
    loop = {"foreach": {"a": {"of": "data/a"}}, "do": {"deps": ["${item.of}"], "outs": [{"data/${key}.json": {}}]}}
    expected = {"deps": ["data/a"], "outs": [{"data/a.json": {}}]}
    assert dict(stages.expand_stages({"many": loop})) == {"many@a": expected}
    drawn = stages.pipeline_diagram()
    assert all(stage in drawn for stage, _ in stages.expand_stages(read_yaml(stages.PIPELINE)["stages"]))
    assert "audit --> train\n" in drawn
    assert (
        'generate_tuned["generate@tuned"] & generate_endpoints --> judge\n' in drawn
    )  # an arrow for what feeds the same


def test_a_score_without_a_value_yet_is_a_user_error(monkeypatch: pytest.MonkeyPatch) -> None:
    new = Score(name="new", label="new", unit="-", better=None, compute=lambda system: 1.0, in_tables=True)
    monkeypatch.setattr(build, "SCORES", (*build.SCORES, new))
    for render in (build.scores_table, build.results_summary):
        with pytest.raises(UserError, match=r"reports/evaluate\.json lacks (.*, )?new: run `dvc repro`"):
            render()


def test_facts_are_told_with_their_intervals() -> None:
    bounds = {"facts_stated": {"low": 90.04, "high": 99.0}, "facts_wrong": {"low": 1.0, "high": 3.0}}
    scores: dict[str, Any] = {"interval": dict.fromkeys(("base", "tuned", "nearest"), bounds)}
    for number, system in enumerate(("tuned", "base", "nearest")):
        scores[system] = {"facts_stated": 95.0 - number, "facts_wrong": 2.0 + number}
    told = build.facts_line(scores)
    assert "model states 95.0% (90.0 to 99.0), and 2.0% (1.0 to 3.0) of what it states is wrong" in told
    assert "its base 94.0% (90.0 to 99.0) and 3.0%" in told and "text 93.0% (90.0 to 99.0) and 4.0%" in told


def test_the_picture_shows_the_committed_plots() -> None:
    drawn = json.dumps(picture.picture_specification())
    metrics = read_json("reports/evaluate.json")
    values = [metrics[system][score] for system in picture.SYSTEMS for score in picture.SCORES]
    assert all(f'"value": {value}' in drawn for value in values)
    assert all(f'"loss": {float(row["loss"])}' in drawn for row in read_tsv("plots/train/validation.tsv"))


def test_a_picture_of_other_figures_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "PICTURE", tmp_path / "drawn.svg")
    assert not picture.picture_is_current()
    picture.draw_picture()
    assert picture.picture_is_current()
    assert "ROUGE-L" in picture.PICTURE.read_text(encoding="utf-8")
    monkeypatch.setattr(picture, "score_rows", lambda scores: [])
    monkeypatch.setattr(picture, "score_panel", lambda rows, records: {"mark": "bar"})
    assert not picture.picture_is_current()


def test_the_example_is_the_first_one_that_evaluate_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    texts = {"title": "Lamp | <b>", "reference": 'A 3" lamp & more.', "base": "base answers", "tuned": "tuned answers"}
    rows = [{"record": 1, "source": source, "text": text} for source, text in texts.items()]
    write_tsv(example.EXAMPLES, [*rows, *(row | {"record": 2, "text": "another"} for row in rows)])
    assert example.example_table().splitlines()[2:] == [
        "| title | Lamp &#124; &lt;b> |",
        "| base model | base answers |",
        "| fine-tuned model | tuned answers |",
        """| the catalogue's own text | A 3" lamp &amp; more. |""",
    ]


def test_readme_is_short() -> None:
    assert len(build.README.read_text(encoding="utf-8").splitlines()) <= LONGEST_README


@pytest.mark.parametrize("path", TEXTS, ids=str)
def test_relative_links_lead_somewhere(path: Path) -> None:
    broken = []
    for link in found_in(path, LINK):
        target, _, anchor = link.partition("#")
        if "://" in link:
            continue
        file = (path.parent / target).resolve() if target else ROOT / path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("path", TEXTS, ids=str)
def test_commands_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    extras = {f"extra-{file.stem}" for file in Path("extras").glob("*.txt")}
    assert found_in(path, TARGET) - targets - extras == set()
    assert {name for name in found_in(path, MODULE) if not module_exists(name)} == set()


def module_exists(name: str) -> bool:
    """Whether `python -m NAME` finds a module."""
    try:
        return find_spec(name.removesuffix(".")) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("path", [*TEXTS, Path("data/sample/README.md")], ids=str)
def test_files_and_folders_exist(path: Path) -> None:
    assert {place for place in found_in(path, PLACE) if not Path(place).exists()} == set()


@pytest.mark.parametrize("path", TEXTS, ids=str)
def test_parameters_exist(path: Path) -> None:
    known = {f"{section}.{key}" for section, keys in read_yaml(PARAMS).items() for key in keys}
    named = {name for name in found_in(path, PARAMETER) if name.split(".")[1] not in FILE_ENDINGS}
    assert named - known - invented_in(path) == set()


def invented_in(path: Path) -> set[str]:
    """The parameters that the recipes of docs/extending.md add by way of example."""
    return {"clean.shouted_titles"} if path.name == "extending.md" else set()
