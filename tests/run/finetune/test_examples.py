"""From labelled data to committed examples: what is held out, what is reused, what the user is told."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import pytest

from jobs.entry import RayCluster, start
from pipelines.errors import FingerprintError
from pipelines.finetune_spec import FinetuneSpec
from pipelines.run.finetune.examples import make_evaluation, make_examples
from pipelines.run.finetune.finetune_order import FinetuneOrder
from pipelines.spec import Slicing, TokenizePool
from pipelines.text.example_batch import COLUMNS, example_batch
from pipelines.train.feed import held_out_share
from pipelines.train.row_groups import list_row_groups
from tests.labelled import examples_in_turn, rows_of, write_rows
from tests.tiny import sentence

TEN = Slicing(max_rows=10)


def rows(first: int, num: int, **more: Any) -> list[dict[str, Any]]:
    labels = ["no", "yes", "no"]
    numbers = range(first, first + num)
    return [{"id": n, "text": f"{n} {sentence(n)}", "label": labels[n % 3], **more} for n in numbers]


def order(folder: Path, **fields: Any) -> FinetuneOrder:
    about = {"train_data": str(folder / "train"), "output": str(folder / "out"), "progress": "none", "slicing": TEN}
    return FinetuneOrder(**{**about, **fields})


@pytest.fixture
def spec(tiny_model: Path) -> FinetuneSpec:
    return FinetuneSpec(model=str(tiny_model), task="classification", eval_share=0.2)


def test_some_of_each_class_are_held_out_and_nothing_is_done_twice(tmp_path: Path, spec: FinetuneSpec) -> None:
    write_rows(tmp_path / "train" / "a.parquet", rows(0, 60))
    made = examples_in_turn(order(tmp_path), spec)
    train, held = rows_of(made.train), rows_of(made.train, held_out=True)
    assert (made.labels, made.class_counts, made.evaluation) == (("no", "yes"), (32, 16), None)
    assert sorted(row["label"] for row in held) == [0] * 8 + [1] * 4
    assert {row["id"] for row in train} | {row["id"] for row in held} == set(range(60))
    assert all(row["label"] == [0, 1, 0][row["id"] % 3] for row in train)
    assert made.notes == ("train on 48 rows: no 32, yes 16", "evaluate on 12 rows: no 8, yes 4")
    again = examples_in_turn(order(tmp_path), spec)
    assert again.train == made.train
    assert again.reports[0].slices == 0


def test_data_that_are_added_move_nothing(tmp_path: Path, spec: FinetuneSpec) -> None:
    write_rows(tmp_path / "train" / "a.parquet", rows(0, 60))
    before = {row["id"] for row in rows_of(examples_in_turn(order(tmp_path), spec).train, held_out=True)}
    write_rows(tmp_path / "train" / "b.parquet", rows(60, 60))
    made = examples_in_turn(order(tmp_path), spec)
    held = {row["id"] for row in rows_of(made.train, held_out=True)}
    assert {one for one in held if one < 60} == before
    assert made.reports[0].documents == 60
    assert sum(made.class_counts) + len(held) == 120
    write_rows(tmp_path / "train" / "c.parquet", [{"id": 999, "text": "x", "label": "maybe"}])
    message = r"examples of another spec \(labels: \['no', 'yes'\] -> \['maybe', 'no', 'yes'\]\); .* with --examples"
    with pytest.raises(FingerprintError, match=message):
        examples_in_turn(order(tmp_path), spec)


def test_data_that_are_gone_are_not_learnt(tmp_path: Path, spec: FinetuneSpec) -> None:
    write_rows(tmp_path / "train" / "a.parquet", rows(0, 30))
    gone = write_rows(tmp_path / "train" / "b.parquet", rows(30, 30))
    assert len(rows_of(examples_in_turn(order(tmp_path), spec).train)) == 48
    gone.unlink()
    made = examples_in_turn(order(tmp_path), spec)
    assert max(row["id"] for row in rows_of(made.train)) < 30
    assert sum(made.class_counts) == len(rows_of(made.train))


def test_groups_are_held_out_whole(tmp_path: Path, spec: FinetuneSpec) -> None:
    data = [{**row, "patient": row["id"] // 4} for row in rows(0, 80)]
    write_rows(tmp_path / "train" / "a.parquet", data)
    made = examples_in_turn(order(tmp_path), replace(spec, group="patient"))
    held = {row["id"] // 4 for row in rows_of(made.train, held_out=True)}
    assert held
    assert held & {row["id"] // 4 for row in rows_of(made.train)} == set()
    assert 8 <= 4 * len(held) <= 24


def test_data_to_evaluate_on_have_an_output_of_their_own(tmp_path: Path, spec: FinetuneSpec) -> None:
    write_rows(tmp_path / "train" / "a.parquet", rows(0, 30))
    bad = [{"id": 40, "text": "x", "label": "maybe"}, {"id": 41, "text": "y", "label": None}]
    write_rows(tmp_path / "dev" / "a.parquet", [*rows(28, 8), *bad])
    made = examples_in_turn(order(tmp_path, eval_data=str(tmp_path / "dev"), max_dead_letters=0.5), spec)
    assert made.evaluation is not None
    assert (len(rows_of(made.train)), rows_of(made.train, held_out=True)) == (30, [])
    assert [row["id"] for row in rows_of(made.evaluation)] == list(range(28, 36))
    assert made.class_counts == (20, 10)
    assert made.notes[2:] == (
        "2 rows to evaluate on can't be used, and are dead letters: a label is none of the classes (1), the label is "
        "null (1)",
        "of the rows to evaluate on 2 with a text that is trained on too (such as id 28, 29), so that the model seems "
        "better than it is: write --spec.twins drop to leave out what is such",
    )
    assert made.reports[1].dead_letters == {
        "examples: a label is none of the classes": 1,
        "examples: the label is null": 1,
    }
    dropped = replace(spec, twins="drop")
    elsewhere = order(tmp_path, eval_data=str(tmp_path / "dev"), max_dead_letters=0.5, examples=str(tmp_path / "two"))
    made = examples_in_turn(elsewhere, dropped)
    assert made.evaluation is not None
    assert [row["id"] for row in rows_of(made.evaluation)] == list(range(30, 36))
    assert made.evaluation.location.path == str(tmp_path / "two" / "eval")
    assert "of the rows to evaluate on 2 left out, whose text is trained on (such as id 28, 29)" in made.notes


def test_held_out_rows_whose_text_is_trained_on_are_left_out(tmp_path: Path, spec: FinetuneSpec) -> None:
    data = [{**row, "text": "wind"} if row["id"] < 10 else row for row in rows(0, 60)]
    write_rows(tmp_path / "train" / "a.parquet", data)
    made = examples_in_turn(order(tmp_path), replace(spec, twins="drop"))
    train, held = ({row["id"] for row in rows_of(made.train, held_out=side)} for side in (False, True))
    assert held
    assert min(held) >= 10
    assert (len(train), len(held)) == (48, 12 - (10 - len({one for one in train if one < 10})))


def test_what_was_made_of_new_twins_stays_and_is_said(tmp_path: Path, spec: FinetuneSpec) -> None:
    write_rows(tmp_path / "train" / "a.parquet", rows(0, 30))
    dropping = replace(spec, twins="drop")
    first = examples_in_turn(order(tmp_path), dropping)
    held = {row["id"] for row in rows_of(first.train, held_out=True)}
    copied = [row for row in rows(0, 30) if row["id"] in sorted(held)[:2]]
    write_rows(tmp_path / "train" / "b.parquet", [{**row, "id": n + row["id"]} for row in copied for n in (100, 200)])
    made = examples_in_turn(order(tmp_path), dropping)
    assert {row["id"] for row in rows_of(made.train, held_out=True)} >= held
    assert made.notes[-1].startswith("some of these are new, and what an earlier run made of them stays")


def test_nothing_to_evaluate_on(tmp_path: Path, spec: FinetuneSpec) -> None:
    write_rows(tmp_path / "train" / "a.parquet", rows(0, 30))
    made = examples_in_turn(order(tmp_path), replace(spec, eval_share=0.0))
    assert (len(rows_of(made.train)), made.notes[1]) == (30, "nothing is evaluated on")


def data_of(task: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows to learn a task from, and the fields of its spec."""
    numbers = range(30)
    match task:
        case "multi_label":
            return [{"id": n, "text": sentence(n), "label": list("abc"[: n % 4])} for n in numbers], {}
        case "regression":
            about = [{"id": n, "text": f"{n} wind", "other": sentence(n), "label": n / 10} for n in numbers]
            return about, {"text_pair": "other"}
        case "token_classification":
            tags = ["O", "B-X", "I-X", "O"]
            return [{"id": n, "words": sentence(n, 4).split(), "tags": tags} for n in numbers], {"text": "words"}
        case "question_answering":
            about = [{"id": n, "question": "the king", "context": f"{sentence(n, 60)} gold"} for n in numbers]
            answers = [{"text": ["gold"], "answer_start": [len(one["context"]) - 4]} for one in about]
            fields = {"text": "question", "text_pair": "context", "stride": 4}
            return [{**one, "answers": answer} for one, answer in zip(about, answers, strict=True)], fields
        case _:
            about = [{"id": n, "text": f"{n} wind", "other": sentence(n), "no": "bread"} for n in numbers]
            return about, {"text_pair": "other", "negatives": ["no"]}


TASKS = ["multi_label", "regression", "token_classification", "question_answering", "embedding"]


@pytest.mark.parametrize("task", TASKS)
def test_the_feed_gives_batches_of_each_task(task: str, tmp_path: Path, tiny_model: Path) -> None:
    data, fields = data_of(task)
    write_rows(tmp_path / "train" / "a.parquet", data)
    asked = FinetuneSpec(model=str(tiny_model), task=task, eval_share=0.2, **fields)  # type: ignore[arg-type]
    made = examples_in_turn(order(tmp_path), asked)
    num_told = 0
    for side in (False, True):
        keys = [key for part in made.train.parts if (key := part.held_out if side else part.key)]
        listed = list_row_groups(made.train.location, keys)
        found = held_out_share(listed, max_instances=10**6, rank=0, world=1, columns=COLUMNS[task])
        batch = example_batch(found, task, len(made.labels))
        assert len(batch) == len(rows_of(made.train, held_out=side)) > 0
        assert (batch.offsets[-1], batch.task) == (len(batch.values), task)
        num_told += batch.num_told
    windows = 30 * 3  # 61 tokens, 27 at a time, of which 4 are the next one's too
    expected = {"multi_label": 30 * 3, "token_classification": 30 * 4, "question_answering": windows}
    assert num_told == expected.get(task, 30)
    tagged = {"token_classification": ("B-X", "I-X", "O"), "multi_label": ("a", "b", "c")}
    assert made.labels == tagged.get(task, ())


def test_ray_gives_what_the_stages_give_in_turn(
    ray_session: None, data_context: object, tmp_path: Path, spec: FinetuneSpec
) -> None:
    write_rows(tmp_path / "train" / "a.parquet", rows(0, 40))
    write_rows(tmp_path / "train" / "b.parquet", rows(40, 20))
    asked = order(tmp_path)
    made = make_examples(asked, spec, TokenizePool(max_actors=2), partial(start, cluster=RayCluster()))
    expected = examples_in_turn(replace(asked, examples=str(tmp_path / "elsewhere")), spec)
    for held_out in (False, True):
        assert rows_of(made.train, held_out=held_out) == rows_of(expected.train, held_out=held_out)
    assert (made.notes, made.class_counts, made.exit_code) == (expected.notes, expected.class_counts, 0)
    again = make_examples(asked, spec, TokenizePool(), never)
    assert again.train == made.train
    alone = replace(asked.train, output=str(tmp_path / "alone"))
    evaluated = make_evaluation(alone, spec, ["yes", "no"], TokenizePool(), partial(start, cluster=RayCluster()))
    found = rows_of(evaluated.output)
    assert {(row["id"] % 3 == 1, row["label"]) for row in found} == {(True, 0), (False, 1)}
    assert (len(found), evaluated.notes) == (60, ("evaluate on 60 rows: no 40, yes 20",))


def never(*_: object, **__: object) -> NoReturn:
    raise AssertionError("there is nothing to do")
