from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from examples import surprises
from examples.surprises import Guess
from tests.model.conftest import save_tokenizer
from tests.tiny import VOCABULARY

TEXT = "The king, of the night"  # [CLS] the king , of the n ##i ... [SEP]: position 2 is king


def row(number: int, perplexity: float | None, num_scored: int = 30, **more: Any) -> dict[str, Any]:
    found = {"perplexity": perplexity, "num_scored": num_scored}
    return {"id": str(number), "year": 1900 + number, "president": "P", "pseudo_perplexity": found, **more}


def filling(position: int, *tokens: str) -> dict[str, Any]:
    """Up to three tokens, of which the first has half of all probability."""
    log_probs = [math.log(share) for share in (0.5, 0.3, 0.1)[: len(tokens)]]
    return {
        "position": position,
        "tokens": list(tokens),
        "ids": [VOCABULARY.index(token) for token in tokens],
        "log_probs": log_probs,
    }


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder)
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def test_short_paragraphs_are_not_compared() -> None:
    rows = [row(0, 9.0), row(1, 3.0), row(2, 1.0, num_scored=4), row(3, None, num_scored=0)]
    assert [found["id"] for found in surprises.by_surprise(rows)] == ["1", "0"]


def test_a_masked_word_is_found_in_the_text(tokenizer: Tokenizer) -> None:
    fillings = [filling(2, "king", "ship", "war"), filling(4, "to", "of")]
    right, wrong = surprises.guesses(row(1, 3.0, text=TEXT, fill_mask=fillings), tokenizer)
    assert right == Guess(
        about="P, 1901", before="The ", word="king", after=", of the night", tokens=["king", "ship", "war"],
        probabilities=pytest.approx([0.5, 0.3, 0.1]), right=True,
    )  # fmt: skip
    assert (wrong.word, wrong.right) == ("of", False)
    assert str(right) == "The [king], of the night\n    king 50%, ship 30%, war 10%   (P, 1901)"


def test_pieces_of_words_and_punctuation_are_not_told(tokenizer: Tokenizer) -> None:
    """Position 3 is a comma; "kings" is not in the vocabulary: k ##i ##n ##g ##s."""
    fillings = [filling(place, "king") for place in (1, 2, 3, 4)]
    found = surprises.guesses(row(1, 3.0, text="the kings, war", fill_mask=fillings), tokenizer)
    assert [guess.word for guess in found] == ["the"]
    assert surprises.guesses(row(1, 3.0, text="king, war", fill_mask=[filling(2, "king")]), tokenizer) == []


def test_texts_are_cut_between_words() -> None:
    assert surprises.shortened("one two three", 20) == "one two three"
    assert surprises.shortened("one two three", 9) == "one two ..."
    assert surprises.shortened("one two three", -9) == "... three"
    assert surprises.shortened("one\ntwo", 9) == "one two"


def test_the_surest_come_first_and_short_words_not_at_all() -> None:
    found = [
        Guess("", "", word, "", [word], [share], right)
        for word, share, right in [
            ("peace", 0.5, True),
            ("of", 0.9, True),
            ("union", 0.8, True),
            ("states", 0.7, False),
        ]
    ]
    assert [guess.word for guess in surprises.surest(found, True, 5)] == ["union", "peace"]
    assert [guess.word for guess in surprises.surest(found, False, 5)] == ["states"]


def test_main_reads_the_output_of_the_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        row(number, perplexity, fill_mask=[filling(2, "king")]) for number, perplexity in enumerate([7.5, 2.0, 99.0])
    ]
    texts = pa.table({"id": ["0", "1", "2"], "text": [TEXT, "A ship.", "Gold, and a horse."]})
    (tmp_path / "out/parts/shard").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "out/parts/shard/0-3.parquet")
    pq.write_table(texts, tmp_path / "corpus.parquet")
    save_tokenizer(tmp_path)
    surprises.main(tmp_path / "corpus.parquet", tmp_path / "out", tmp_path, count=1)
    told = capsys.readouterr().out
    least, most = told.index("2.0  P, 1901  (1)"), told.index("99.0  P, 1902  (2)")
    assert least < told.index("A ship.") < most < told.index("Gold, and a horse.")
    assert "The [king], of the night" in told
