from __future__ import annotations

from dataclasses import replace

import yaml

from pipelines.run.trainings.card import Card

CARD = Card(
    name="bert-tiny-sotu",
    architecture="bert-tiny",
    made_of={"instances": "s3://bucket/instances", "instances to learn from": 12345, "tokenizer": "wordpiece, 8,000"},
    spec={"architecture": "bert-tiny", "seed": 0},
    numbers={"steps": 1000, "hours": 1.5},
    evaluation={
        "step": 1000,
        "loss_mlm": 4.0625,
        "perplexity_mlm": 58.12,
        "accuracy_mlm": 0.3125,
        "loss_nsp": 0.25,
        "perplexity_nsp": 1.28,
    },
    fingerprint="abc123",
)


def test_a_card_begins_with_what_the_hub_reads() -> None:
    _, front, _ = str(CARD).split("---\n", 2)
    assert yaml.safe_load(front) == {"library_name": "transformers", "pipeline_tag": "fill-mask", "tags": ["manta"]}


def test_a_card_tells_numbers_corpus_and_spec() -> None:
    lines = str(CARD).splitlines()
    assert "# bert-tiny-sotu" in lines
    assert "| masked tokens | 4.062 | 58.12 | 31.2% |" in lines
    assert "| next sentence | 0.250 |  |  |" in lines
    assert "| instances to learn from | 12,345 |" in lines
    assert "| hours | 1.5 |" in lines
    assert '  "architecture": "bert-tiny",' in lines
    assert "abc123" in str(CARD)
    assert "bert-tiny, trained by Manta on the corpus below." in lines


def test_remarks_and_missing_measurements_are_said() -> None:
    card = Card(
        name="n",
        architecture="a",
        made_of={},
        spec={},
        numbers={},
        evaluation={},
        remarks=["a lacks a head: made anew"],
    )
    assert "on the corpus below.\n\n- a lacks a head: made anew\n" in str(card)
    assert "No documents were held out." in str(card)
    assert "pipeline_tag: feature-extraction" in str(card)


def test_what_was_measured_and_the_pipeline_may_be_given() -> None:
    card = str(replace(CARD, pipeline="sentence-similarity", measured="| mrr@10 | 0.5 |"))
    front = yaml.safe_load(card.split("---\n")[1])
    assert (front["library_name"], front["pipeline_tag"]) == ("sentence-transformers", "sentence-similarity")
    assert "## How well it does\n\n| mrr@10 | 0.5 |\n" in card
