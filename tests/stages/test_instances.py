"""Documents to instances: decoded and read, whatever the tokenizer; the split, the weights, and hostile texts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from pipelines.errors import SpecError, StoreError
from pipelines.instances import INSTANCES
from pipelines.model.tokenizer_training import save_tokenizer, train_tokenizer
from pipelines.prepare_spec import PrepareSpec
from pipelines.schema import SliceHeader, fold, unfold
from pipelines.spec import Slicing
from pipelines.stages.attempts import Attempts
from pipelines.stages.documents import columns_for
from pipelines.stages.instances import IS_HELD_OUT, InstanceMaker
from pipelines.stages.read import Reading, Stretch, slices_of
from pipelines.stages.slicewise import ROW
from pipelines.stages.tokenizer_recipe import TokenizerRecipe
from pipelines.store.copies import copies_key, put_array
from pipelines.store.location import Location, locate
from pipelines.store.shards import list_shards, read_footer
from pipelines.text.document_keys import document_keys, is_held_out
from tests import hostile
from tests.model.test_sentence_tokenizer import gpt2
from tests.tiny import sentence

NOBODY = 0.0


def maker(folder: Path, *, output: Location | None = None, **fields: Any) -> InstanceMaker:
    spec = PrepareSpec(tokenizer=str(folder), **{"max_seqlen": 32, "held_out": NOBODY, "sentences": "lines", **fields})
    return InstanceMaker(TokenizerRecipe.of(spec), Attempts(), output)


def text(first: int, num_sentences: int) -> str:
    return "\n".join(sentence(first + n, 3 + n % 6) for n in range(num_sentences))


def corpus(num_documents: int = 20, num_sentences: int = 12) -> pa.Table:
    return pa.table(
        {"id": list(range(num_documents)), "text": [text(31 * n, num_sentences) for n in range(num_documents)]}
    )


def as_slice(table: pa.Table, shard: str = "a.parquet", first_row: int = 100) -> pa.Table:
    """A slice of documents, as read gives it."""
    rows = pa.array(range(first_row, first_row + table.num_rows), pa.int64())
    about = {"shard": shard, "shard_id": "00000000000000aa", "first_row": first_row, "num_documents": table.num_rows}
    named = table.rename_columns(["_text" if name == "text" else name for name in table.column_names])
    return fold(named.append_column(ROW, rows), SliceHeader(**about))


def decoded(folder: Path, instances: pa.Table) -> list[str]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return [tokenizer.decode(ids, skip_special_tokens=False) for ids in instances["input_ids"].to_pylist()]


def test_instances_follow_the_contract(tiny_model: Path) -> None:
    table, header = unfold(maker(tiny_model)(as_slice(corpus())))
    assert table.column_names == [ROW, "id", *INSTANCES.names, IS_HELD_OUT]
    assert pa.schema([table.schema.field(name) for name in INSTANCES.names]).types == INSTANCES.types
    rows = table.to_pylist()
    assert {row["id"] + 100 == row[ROW] for row in rows} == {True}
    for row in rows:
        ids, begin = row["input_ids"], row["segment_b_start"]
        assert len(ids) == row["num_tokens"] <= 32
        assert (ids[0], ids[begin - 1], ids[-1]) == (2, 3, 3)
        assert [place for place, token in enumerate(ids) if token == 3] == [begin - 1, len(ids) - 1]
    assert header.stats["instances.train"] == len(rows)
    assert header.stats["instances.documents"] == 20
    assert header.stats["instances.sentences"] == 240
    assert header.stats["num_tokens"] == sum(row["num_tokens"] for row in rows)
    assert header.stats["instances.train_labelled"] == sum(row["next_sentence_label"] for row in rows) > 0
    assert sum(count for name, count in header.stats.items() if name.startswith("length.")) == len(rows)


def test_honest_pairs_are_text_that_follows_and_random_ones_are_not(tiny_model: Path) -> None:
    instances = maker(tiny_model)(corpus())
    texts = {n: " ".join(text(31 * n, 12).split()) for n in range(20)}
    for row, told in zip(instances.to_pylist(), decoded(tiny_model, instances), strict=True):
        first, second = (part.strip() for part in told.removeprefix("[CLS]").removesuffix("[SEP]").split("[SEP]"))
        own = texts[row["id"]]
        assert first in own
        if row["next_sentence_label"] == 0:
            assert own.find(second, own.find(first) + len(first)) >= 0
        else:
            assert any(second in other for n, other in texts.items() if n != row["id"])


def test_a_slice_gives_the_same_done_again_and_in_any_order(tiny_model: Path) -> None:
    make = maker(tiny_model)
    once = make(corpus())
    assert make(corpus()).equals(once)
    turned = make(corpus().take(list(range(19, -1, -1))))
    assert sorted(turned["input_ids"].to_pylist()) == sorted(once["input_ids"].to_pylist())
    other = maker(tiny_model, seed=1)(corpus())
    assert sorted(other["input_ids"].to_pylist()) != sorted(once["input_ids"].to_pylist())


def test_one_document_is_paired_honestly(tiny_model: Path) -> None:
    table, header = unfold(maker(tiny_model)(as_slice(corpus(1))))
    assert set(table["next_sentence_label"].to_pylist()) == {0}
    assert header.stats["instances.train_without_other"] > 0


def test_order_is_in_the_document_either_way(tiny_model: Path) -> None:
    instances = maker(tiny_model, objective="mlm+sop", short_probability=0.0)(corpus())
    labels = instances["next_sentence_label"].to_numpy()
    assert 0.3 < labels.mean() < 0.7
    for row, told in zip(instances.to_pylist(), decoded(tiny_model, instances), strict=True):
        first, second = (part.strip() for part in told.removeprefix("[CLS]").removesuffix("[SEP]").split("[SEP]"))
        own = " ".join(text(31 * row["id"], 12).split())
        assert (own.index(first) < own.rindex(second)) or row["next_sentence_label"]
        assert first in own
        assert second in own


def test_full_length_instances_run_on_across_documents(tiny_model: Path) -> None:
    instances = maker(tiny_model, objective="mlm")(corpus())
    lengths = instances["num_tokens"].to_numpy()
    assert lengths[:-1].min() > 32 - 9  # a sentence has 8 tokens at most
    assert set(instances["segment_b_start"].to_pylist()) == {0}
    assert set(instances["next_sentence_label"].to_pylist()) == {-100}
    told = " ".join(decoded(tiny_model, instances)).replace("[CLS]", "").replace("[SEP]", " ").split()
    assert sorted(told) == sorted(word for n in range(20) for word in text(31 * n, 12).split())
    inner = [ids[1:-1] for ids in instances["input_ids"].to_pylist()]
    assert sum(3 in ids for ids in inner) >= 15  # a separator where a document ends within


def test_filled_instances_end_anywhere(tiny_model: Path) -> None:
    table, header = unfold(maker(tiny_model, objective="mlm", whole_sentences=False)(as_slice(corpus())))
    lengths = table["num_tokens"].to_numpy()
    assert lengths[:-1].min() >= 31  # one less where a document ends with the instance
    assert header.stats["instances.documents_without"] == 0
    told = " ".join(decoded(tiny_model, table)).replace("[CLS]", "").replace("[SEP]", " ").split()
    assert sorted(told) == sorted(word for n in range(20) for word in text(31 * n, 12).split())


def test_full_length_without_cls(tmp_path: Path) -> None:
    """As GPT-2 wants it: nothing around, end of text between documents and where the last one ends, spaces kept."""
    folder = gpt2(tmp_path / "gpt2")
    instances = maker(folder, objective="mlm")(corpus(3))
    whole = "".join(decoded(folder, instances))
    assert whole.count("<|endoftext|>") >= 2
    found = sorted(part for part in whole.split("<|endoftext|>") if part)
    assert found == sorted(text(31 * n, 12).replace("\n", " ") for n in range(3))


def test_unigram_tokenizers_put_a_separator_as_well(tmp_path: Path) -> None:
    made = train_tokenizer("unigram", [text(n, 9) for n in range(9)], 250, lowercase=False)
    save_tokenizer(made, "unigram", tmp_path, 32)
    instances = maker(tmp_path, objective="mlm")(corpus(4))
    assert all(told.startswith("[CLS]") and told.endswith("[SEP]") for told in decoded(tmp_path, instances))


@pytest.mark.parametrize("objective", ["mlm+nsp", "mlm"])
def test_held_out_documents_meet_no_others(tiny_model: Path, objective: str) -> None:
    documents = corpus(200, 6)
    table = maker(tiny_model, held_out=0.2, objective=objective)(documents)
    split = dict(zip(range(200), is_held_out(document_keys(range(200)), 0.2).tolist(), strict=True))
    assert 20 < sum(split.values()) < 60
    assert all(split[row["id"]] == row[IS_HELD_OUT] for row in table.to_pylist())
    # What is trained on is what would be made if the held-out documents were not there at all, and the other way round.
    for held in (False, True):
        alone = documents.filter(pa.array([split[number] == held for number in range(200)]))
        kept = table.filter(pa.array(table[IS_HELD_OUT].to_numpy(zero_copy_only=False) == held))
        assert maker(tiny_model, held_out=0.2, objective=objective)(alone).equals(kept)


def test_what_is_passed_through_stands_beside_each_instance(tiny_model: Path) -> None:
    documents = corpus().append_column("year", pa.array(range(1900, 1920)))
    table = maker(tiny_model, passthrough=["year"])(documents)
    assert table.column_names == ["id", "year", *INSTANCES.names, IS_HELD_OUT]
    assert all(row["year"] == 1900 + row["id"] for row in table.to_pylist())


def test_groups_are_held_out_as_a_whole(tiny_model: Path) -> None:
    documents = corpus(200, 6).append_column("patient", pa.array([f"p{n // 5}" for n in range(200)]))
    table = maker(tiny_model, held_out=0.3, group="patient")(documents)
    assert "_group" not in table.column_names
    sides = {}
    for row in table.to_pylist():
        sides.setdefault(row["id"] // 5, set()).add(row[IS_HELD_OUT])
    assert all(len(side) == 1 for side in sides.values())
    assert {one for side in sides.values() for one in side} == {False, True}


def test_weights_take_documents_several_times_or_not(tiny_model: Path) -> None:
    make = maker(tiny_model, weights={"wiki/*": 2, "books/*": 0.5, "none/*": 0})
    documents = corpus(100, 6)
    whole, twice, half, none = (
        unfold(make(as_slice(documents, name))) for name in ("a.parquet", "wiki/a.parquet", "books/a", "none/a")
    )
    counts = [Counter(table["id"].to_pylist()) for table, _ in (whole, twice, half)]
    assert sorted(counts[1]) == sorted(counts[0]) == list(range(100))
    assert 1.8 < counts[1].total() / counts[0].total() < 2.2
    assert 35 < len(counts[2]) < 65
    assert half[1].stats["instances.weighted_out_documents"] == 100 - len(counts[2])
    assert none[0].num_rows == 0
    assert none[1].stats["instances.documents"] == 100
    pairs = [row for row in twice[0].to_pylist() if row["id"] == 0]
    assert len({tuple(row["input_ids"]) for row in pairs}) > len([r for r in whole[0].to_pylist() if r["id"] == 0])


def test_copies_are_counted_and_dropped_on_request(tiny_model: Path, tmp_path: Path) -> None:
    output, documents = locate(str(tmp_path)), corpus()
    put_array(output, copies_key("00000000000000aa"), np.array([3, 101, 104, 900]))  # the slice has rows 100 to 119
    told = ("documents", "duplicates", "dropped_documents", "weighted_out_documents")
    found = {}
    for duplicates in ("keep", "drop"):
        make = maker(tiny_model, output=output, duplicates=duplicates)
        table, header = unfold(make(as_slice(documents)))
        found[duplicates] = table["input_ids"].to_pylist(), [header.stats[f"instances.{name}"] for name in told]
    others = documents.filter(pa.array([number not in (1, 4) for number in range(20)]))
    assert found["keep"][0] == maker(tiny_model)(documents)["input_ids"].to_pylist()
    assert found["drop"][0] == maker(tiny_model)(others)["input_ids"].to_pylist() != found["keep"][0]
    assert {name: counts for name, (_, counts) in found.items()} == {"keep": [20, 2, 0, 0], "drop": [20, 2, 2, 0]}


def test_a_slice_of_which_nothing_is_known_is_not_taken(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"00aa\.npy, by which copies are told, is gone"):
        maker(tiny_model, output=locate(str(tmp_path)))(as_slice(corpus()))
    never = maker(tiny_model, output=locate(str(tmp_path)), weights={"a.parquet": 0})
    assert unfold(never(as_slice(corpus())))[0].num_rows == 0


def test_lists_of_sentences_are_taken_as_they_are(tiny_model: Path) -> None:
    documents = corpus()
    cut = [one.split("\n") for one in documents["text"].to_pylist()]
    lists = documents.set_column(1, "text", pa.array(cut))
    assert maker(tiny_model, sentences="list")(lists).equals(maker(tiny_model)(documents))


def test_sentencex_finds_the_sentences(tiny_model: Path) -> None:
    prose = pa.table({"id": [1], "text": ["The king spoke. War came! Then peace? A ship of gold."]})
    table, header = unfold(maker(tiny_model, sentences="sentencex")(as_slice(prose)))
    assert header.stats["instances.sentences"] == 4
    assert table.num_rows >= 1


def test_documents_that_yield_nothing_are_counted(tiny_model: Path) -> None:
    texts = ["", "\n \n", "the king", text(0, 6), text(9, 6)]
    table, header = unfold(maker(tiny_model)(as_slice(pa.table({"id": range(5), "text": texts}))))
    assert set(table["id"].to_pylist()) == {3, 4}
    assert header.dead_letters == ()
    assert {name: header.stats[f"instances.{name}"] for name in ("empty_documents", "one_sentence_documents")} == {
        "empty_documents": 2, "one_sentence_documents": 1,
    }  # fmt: skip
    assert header.stats["instances.documents_without"] == 3


def test_what_can_t_be_read_is_a_dead_letter(tiny_model: Path) -> None:
    lists = pa.table({"id": [1, 2, 3], "text": pa.array([["a b", None], None, ["the king", "the ship"]])})
    _, header = unfold(maker(tiny_model, sentences="list")(as_slice(lists)))
    assert [(one.row, one.stage, one.reason) for one in header.dead_letters] == [
        (100, "tokenize", "a sentence is null"),
        (101, "tokenize", "the text is null"),
    ]
    assert header.stats["instances.documents"] == 1
    with pytest.raises(SpecError, match="could not pass tokenize"):
        maker(tiny_model, sentences="list")(lists)


@pytest.mark.parametrize("objective", ["mlm+nsp", "mlm+sop", "mlm"])
def test_hostile_texts(tiny_model: Path, tmp_path: Path, objective: str) -> None:
    folder = hostile.write(tmp_path / "corpus")
    shard = next(one for one in list_shards(str(folder)) if one.name == "a-odd.parquet")
    spec = PrepareSpec(tokenizer=str(tiny_model), max_seqlen=32, objective=objective)  # type: ignore[arg-type]
    footer = read_footer(shard)
    reading = Reading(columns=columns_for(spec, footer.schema), slicing=Slicing(), output_row_bytes=100)
    (batch,) = slices_of([Stretch(shard=shard, first_row=0, stop_row=footer.num_rows)], reading)
    table, header = unfold(InstanceMaker(TokenizerRecipe.of(spec), Attempts())(batch))
    assert {(one.row, one.stage, one.reason) for one in header.dead_letters} == hostile.DEAD - {
        (0, "read", "the text is null")
    }
    assert header.stats["instances.documents"] + len(header.dead_letters) == footer.num_rows
    assert all(len(ids) <= 32 for ids in table["input_ids"].to_pylist())


def test_one_by_one_gives_the_same(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After processes died at a slice its documents are tokenized one by one; pairs are made of all of them still."""
    make, batch = maker(tiny_model), as_slice(corpus())
    whole, header = unfold(make(batch))
    monkeypatch.setattr("pipelines.stages.slicewise.PLAIN_ATTEMPTS", 0)
    found, again = unfold(make(batch))
    assert found.equals(whole)
    assert {n: v for n, v in again.stats.items() if "." in n and "peak" not in n} == {
        n: v for n, v in header.stats.items() if "." in n and "peak" not in n
    }
