"""Base models beside the tiny one: packed records do not see each other, whatever the family."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.models.loading import load_base
from src.models.loss import mean_loss, trained_logits_only
from src.prompts.encoding import encode_record
from src.prompts.packing import make_rows
from src.prompts.tokenizers import load_tokenizer
from tests.tiny_bases import FAMILIES, TITLES, WINDOW


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_the_same_packed_and_unpacked(
    family_base: Callable[[str], Path], record: Any, family: str, attention: str
) -> None:
    folder = family_base(family)
    tokenizer, model = load_tokenizer(folder, "plain"), load_base(folder, four_bit=False, attention=attention)
    trained_logits_only(model)
    encoded = [encode_record(tokenizer, record("plain", title, title[::-1] + ".")) for title in TITLES[:6]]
    packed, single = (make_rows(encoded, WINDOW, packing).to_list() for packing in (True, False))
    assert len(packed) < len(single)
    pad = tokenizer.pad_token_id
    assert mean_loss(model, packed, pad) == pytest.approx(mean_loss(model, single, pad), abs=1e-5)
