"""What tests of the records share: parameters that keep short texts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.params import CleanParams, ColumnParams, DataParams, Params, plain_values, read_yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cleaning_params() -> Callable[..., Params]:
    """The sections data and clean of params.yaml, with short texts kept, and with the keys of clean that are given."""
    clean = plain_values(read_yaml(ROOT / "params.yaml"))["clean"]

    def chosen(min_title_chars: int = 3, min_content_chars: int = 10, **changed: Any) -> Params:
        data = DataParams(
            raw="-",
            columns=ColumnParams(uid="uid", title="title", content="content"),
            lines=0,
            max_rejected_share=0.0,
            min_title_chars=min_title_chars,
            min_content_chars=min_content_chars,
        )
        return Params.model_construct(data=data, clean=CleanParams.model_validate(clean | changed))

    return chosen
