"""A tokenizer that is trained on a corpus: once, on a sample, and the same for whoever comes later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from pipelines.errors import FingerprintError, SpecError
from pipelines.prepare_spec import PrepareSpec
from pipelines.run.order import Order
from pipelines.run.prepare.own_tokenizer import with_tokenizer
from pipelines.stages.tokenizer_recipe import TokenizerRecipe
from tests.prepared import prepare_in_turn
from tests.tiny import WORDS, listing, sentence, write_shard

SPEC = PrepareSpec(train_tokenizer="wordpiece", vocab_size=120, sentences="lines", max_seqlen=32, held_out=0.0)


def order(folder: Path, **more: str) -> Order:
    asked = {"documents": str(folder / "corpus"), "output": str(folder / "out")}
    return Order(job="prepare", progress="none", **asked | more)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    texts = ["\n".join(sentence(7 * n + m, 4 + m % 3) for m in range(6)) for n in range(30)]
    write_shard(tmp_path / "corpus" / "a.parquet", 30, 0, text=texts)
    return tmp_path


def trained(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "out" / "tokenizer" / "tokenizer.json"))


def test_a_spec_that_names_one_is_left_as_it_is(corpus: Path) -> None:
    spec = PrepareSpec(tokenizer="t")
    assert with_tokenizer(spec, order(corpus)) == spec
    assert not (corpus / "out").exists()


def test_it_is_trained_once_and_then_found(corpus: Path) -> None:
    named = with_tokenizer(SPEC, order(corpus))
    assert named == replace(SPEC, tokenizer=str(corpus / "out" / "tokenizer"))
    before = listing(corpus / "out")
    assert with_tokenizer(SPEC, order(corpus)) == named
    assert listing(corpus / "out") == before
    encoding = trained(corpus).encode(sentence(1, 5))
    assert "[UNK]" not in encoding.tokens
    assert len(encoding.tokens) < 12


def test_instances_are_made_with_it_and_a_later_run_finds_nothing_to_do(corpus: Path) -> None:
    spec = with_tokenizer(SPEC, order(corpus))
    assert prepare_in_turn(spec, corpus / "corpus", corpus / "out").exit_code == 0
    (part,) = (corpus / "out" / "parts").glob("*/*.parquet")
    first = pq.read_table(part)["input_ids"][0].as_py()
    text = trained(corpus).decode(first)
    assert text.split()[0] in WORDS
    before = listing(corpus / "out")
    assert prepare_in_turn(with_tokenizer(SPEC, order(corpus)), corpus / "corpus", corpus / "out").exit_code == 0
    assert listing(corpus / "out") == before
    other = with_tokenizer(replace(SPEC, vocab_size=100), order(corpus))
    with pytest.raises(FingerprintError, match="vocab_size"):
        prepare_in_turn(other, corpus / "corpus", corpus / "out")


def test_lists_of_sentences_and_texts_that_are_none_are_read(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    sentences = [[sentence(n, 4), sentence(n + 1, 5)] for n in range(20)]
    pq.write_table(pa.table({"text": [*sentences, None]}), tmp_path / "corpus" / "a.parquet")
    spec = replace(SPEC, sentences="list", train_tokenizer="unigram", vocab_size=160)
    named = with_tokenizer(spec, order(tmp_path))
    TokenizerRecipe.of(named)
    assert "<unk>" not in trained(tmp_path).encode(sentence(1, 4)).tokens


def test_two_tokenizers_are_refused(corpus: Path) -> None:
    with pytest.raises(SpecError, match="tokenizer is 't': leave it out, since one is to be trained"):
        with_tokenizer(replace(SPEC, tokenizer="t"), order(corpus))


def test_an_output_that_is_named_by_its_tokenizer_is_refused(corpus: Path) -> None:
    with pytest.raises(SpecError, match="which a tokenizer that is still to be trained decides: name a folder"):
        with_tokenizer(SPEC, order(corpus, output=str(corpus / "{fingerprint}")))


def test_it_learns_from_the_sample_alone(corpus: Path) -> None:
    write_shard(corpus / "corpus" / "b.parquet", 400, 100, text=["zebra"] * 400)
    with_tokenizer(replace(SPEC, tokenizer_documents=4), order(corpus))
    known = trained(corpus).get_vocab()
    assert len(known) < 60  # four documents, not all


def test_a_plan_trains_none(corpus: Path) -> None:
    before = listing(corpus)
    with pytest.raises(SpecError, match=r"the wordpiece tokenizer of .* is not trained yet, and a plan writes nothing"):
        with_tokenizer(SPEC, order(corpus), train=False)
    assert listing(corpus) == before
    named = with_tokenizer(SPEC, order(corpus))
    assert with_tokenizer(SPEC, order(corpus), train=False) == named


def test_it_learns_from_the_days_that_are_looked_at(tmp_path: Path) -> None:
    for day in (23, 24, 25):
        texts = [f"{'zebra' if day == 23 else 'gnu'} {sentence(number)}" for number in range(30)]
        write_shard(tmp_path / f"corpus/date=2026-11-{day}/a.parquet", 30, text=texts)
    with_tokenizer(SPEC, order(tmp_path, since="2026-11-24"))
    known = trained(tmp_path).get_vocab()
    assert "gnu" in known
    assert not any("z" in token for token in known)
