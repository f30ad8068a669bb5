"""Cleaning over shards by the real datatrove: the records of the stage, on one shard, on several, by Slurm's jobs."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from src.cluster.bands import doubtful_similarities
from src.cluster.refusals import check_cluster, check_packages, check_shards
from src.errors import UserError
from src.params import Params, load_params
from src.records.clean_files import clean_texts, plan_duplicates, read_planned
from src.records.near_duplicates import hash_shingles
from src.records.parquet import RECORDS
from src.records.raw_files import read_records
from src.records.raw_filters import find_raw_drop_reasons

ROOT = Path(__file__).parents[2]
NEVER = 1e-4  # the probability of a disagreement about a pair that counts as none
CHANGED_WORDS = (0, 1, 2, 3, 4, 5, 6, 8, 12)  # of 90, in a row: similarities from 1 down to 0.7


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose raw records, in a file and in shards, are the sample and altered copies of long descriptions."""
    pytest.importorskip("datatrove", reason="needs `make extra-datatrove`")
    folder = tmp_path_factory.mktemp("project")
    (folder / "src").symlink_to(ROOT / "src")
    shutil.copy(ROOT / "params.yaml", folder)
    records = pl.concat([sample_records(), altered_copies()]).sample(fraction=1, shuffle=True, seed=1)
    for name, shards in {"one": 1, "several": 3}.items():
        (folder / name).mkdir()
        for number, shard in enumerate(records.iter_slices(-(-records.height // shards))):
            shard.write_parquet(folder / name / f"{number:05d}.parquet")
    return folder


def sample_records() -> pl.DataFrame:
    data = load_params().data.model_copy(update={"raw": str(ROOT / "data/sample/trn.json.gz"), "lines": 1000})
    return pl.concat([block.records for block in read_records(data)])


def altered_copies() -> pl.DataFrame:
    """Products with copies in which the first words are others; titles and numbers are the same."""
    rows = []
    for product in range(40):
        words = [
            f"{chr(97 + product % 26)}{chr(97 + product // 26)}{chr(97 + place // 26)}{chr(97 + place % 26)}"
            for place in range(90)
        ]
        for changed in CHANGED_WORDS[:: 1 + product % 2]:
            content = " ".join(["zz" + word for word in words[:changed]] + words[changed:])
            rows.append((f"copy-{product}-{changed}", f"A Fine Lamp of {words[-1].title()}", content))
    return pl.DataFrame(rows, schema=RECORDS, orient="row")


@pytest.fixture(scope="module")
def run(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command in the project."""

    def command(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        found = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | changed
        return subprocess.run(
            [sys.executable, "-m", "src.cluster", *arguments], cwd=project, env=found, capture_output=True, text=True
        )

    return command


@pytest.fixture(scope="module")
def of_one_shard(project: Path, run: Callable[..., subprocess.CompletedProcess[str]]) -> pl.DataFrame:
    done = run("one", "from-one", "--workers", "1")
    assert done.returncode == 0, done.stderr
    return read_folder(project / "from-one")


def read_folder(folder: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in sorted(folder.iterdir())])


def stage_records(raw: pl.DataFrame, folder: Path, params: Params) -> pl.DataFrame:
    """What the stages decompress and clean keep."""
    raw.filter(find_raw_drop_reasons(raw, params).is_null()).write_parquet(folder / "records.parquet")
    index = clean_texts(folder / "records.parquet", folder / "candidates.parquet", params, lambda _: None)
    plan = plan_duplicates(folder / "candidates.parquet", index, params.clean)
    planned = pl.concat(read_planned(folder / "candidates.parquet", plan))
    return planned.filter(pl.col("drop_reason").is_null()).select(*RECORDS)


def similarity(text: str, other: str) -> float:
    found, others = (set(hash_shingles(pl.Series([one]))[0].tolist()) for one in (text, other))
    return len(found & others) / len(found | others)


def test_one_shard_gives_the_records_of_the_stage(project: Path, of_one_shard: pl.DataFrame, tmp_path: Path) -> None:
    """All but those of which it is uncertain, by the curve of MinHash, whether another one is near."""
    params, raw = load_params(), read_folder(project / "one")
    expected = stage_records(raw, tmp_path, params)
    low, high = doubtful_similarities(params.clean.near_threshold, NEVER)
    differing = set(of_one_shard["uid"]) ^ set(expected["uid"])
    assert all(uid.startswith("copy-") for uid in differing)
    for uid in differing:
        title, content = raw.filter(uid=uid).select("title", "content").row(0)
        mates = raw.filter((pl.col("title") == title) & (pl.col("uid") != uid))["content"]
        assert any(low <= similarity(content, mate) <= high for mate in mates)
    same = set(of_one_shard["uid"]) & set(expected["uid"])
    assert of_one_shard.filter(pl.col("uid").is_in(same)).equals(expected.filter(pl.col("uid").is_in(same)))
    assert 100 < expected.height < raw.height - 100


def test_what_is_beyond_doubt_is_dropped_or_stays(project: Path, of_one_shard: pl.DataFrame) -> None:
    low, high = doubtful_similarities(load_params().clean.near_threshold, NEVER)
    raw, kept = read_folder(project / "one"), set(of_one_shard["uid"])
    for product in range(40):
        copies = raw.filter(pl.col("uid").str.starts_with(f"copy-{product}-")).rows()
        stays = [row for row in copies if row[0] in kept]
        assert stays[0] == copies[0]  # the first of a cluster
        for row in copies:
            if row not in stays:
                assert any(similarity(row[2], other[2]) >= low for other in copies if other != row)
        assert all(similarity(row[2], other[2]) <= high for row in stays for other in stays if row != other)


def test_several_shards_give_the_same_records(
    project: Path, of_one_shard: pl.DataFrame, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = run("several", "from-several", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert len(list((project / "from-several").iterdir())) == 3
    assert read_folder(project / "from-several").equals(of_one_shard)


def test_its_result_is_data_raw_and_no_rule_changes_it(
    project: Path, of_one_shard: pl.DataFrame, tmp_path: Path
) -> None:
    params = load_params()
    data = params.data.model_copy(update={"raw": str(project / "from-one")})
    raw = pl.concat([block.records for block in read_records(data)])
    assert raw.equals(of_one_shard)
    again = stage_records(raw, tmp_path, params)
    missed = set(raw["uid"]) - set(again["uid"])  # which the stage finds, comparing contents themselves
    assert all(uid.startswith("copy-") for uid in missed)
    assert again.equals(raw.filter(~pl.col("uid").is_in(missed)))


SBATCH = """#!/bin/bash
# Runs each task of the job at once, where Slurm would queue it.
for script in "$@"; do :; done
echo "$@" >> {log}
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' $script)
for task in $(seq 0 $last); do
    SLURM_ARRAY_TASK_ID=$task SLURM_NODELIST=here RUN_OFFSET=0 bash $script >> {log} 2>&1 || exit 1
done
echo "Submitted batch job $(wc -l < {log})"
"""
SRUN = """#!/bin/bash
for pickled in "$@"; do :; done
exec {python} -m datatrove.tools.launch_pickled_pipeline $pickled
"""


def test_slurm_gets_jobs_that_wait_for_each_other(
    project: Path, of_one_shard: pl.DataFrame, run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    programs = {"sbatch": SBATCH.format(log=log), "srun": SRUN.format(python=sys.executable)}
    programs |= {"scontrol": "#!/bin/sh\necho here\n", "merge_stats": "#!/bin/sh\n"}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = run("one", "from-slurm", "--executor", "slurm", "--partition", "cpu", PATH=path)
    assert done.returncode == 0, done.stderr + log.read_text()
    assert "4 jobs over 1 shards submitted" in done.stdout
    assert log.read_text().count("--dependency=afterok:") == 3
    assert read_folder(project / "from-slurm").equals(of_one_shard)
    [script] = project.glob(".from-slurm.*/logs/clean/launch_script.slurm")
    assert {"#SBATCH --partition=cpu", "#SBATCH --array=0-0", "#SBATCH --time=04:00:00"} <= set(
        script.read_text().splitlines()
    )


def test_ray_gives_the_same_records(
    project: Path, of_one_shard: pl.DataFrame, run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    pytest.importorskip("ray", reason="needs `make extra-ray`")
    done = run("several", "from-ray", "--executor", "ray", "--workers", "2", RAY_USAGE_STATS_ENABLED="0")
    assert done.returncode == 0, done.stderr
    assert read_folder(project / "from-ray").equals(of_one_shard)


def test_what_cannot_begin_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = load_params()
    with pytest.raises(UserError, match="slurm, which needs --partition"):
        check_cluster("slurm", "")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="holds files already"):
        check_shards(["a"], params, tmp_path)
    unnamed = params.data.columns.model_copy(update={"uid": ""})
    numbered = params.model_copy(update={"data": params.data.model_copy(update={"columns": unnamed})})
    with pytest.raises(UserError, match="name a column of uids"):
        check_shards(["a"], numbered, tmp_path / "new")
    monkeypatch.setattr("src.cluster.refusals.find_spec", lambda name: None)
    with pytest.raises(UserError, match="make extra-datatrove"):
        check_packages("local")


def test_ray_is_refused_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datatrove", reason="needs `make extra-datatrove`")
    found = importlib.util.find_spec
    monkeypatch.setattr("src.cluster.refusals.find_spec", lambda name: None if name == "ray" else found(name))
    with pytest.raises(UserError, match="make extra-ray"):
        check_packages("ray")
