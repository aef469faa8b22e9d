"""What is odd about the instances that a run made, each with its likeliest cause and a remedy."""

from __future__ import annotations

from pipelines.prepare_spec import PrepareSpec
from pipelines.run.prepare.instance_counts import InstanceCounts

MANY = 0.05
"""Share from which on something is worth a word."""
FEW_OF_A_TOKEN = 100
"""Times below which a token of the vocabulary is seen too seldom, on average."""
FEW_INSTANCES = 2560
"""Instances below which a training goes round many times: ten batches of 256."""


def instance_warnings(counts: InstanceCounts, spec: PrepareSpec) -> list[str]:
    """One line each; none where all is as it should be."""
    found = [*_of_documents(counts, spec), *_of_copies(counts, spec)]
    found += [*_of_pairs(counts), *_of_the_split(counts, spec), *_of_the_vocabulary(counts, spec)]
    if counts.train < FEW_INSTANCES:
        batches = counts.train / 256
        found.append(
            f"{counts.train:,} instances are {batches:.1f} batches of 256, so that training sees each many times: "
            "take more documents, or go on from a trained model"
        )
    return found


def _of_documents(counts: InstanceCounts, spec: PrepareSpec) -> list[str]:
    found, documents = [], max(1, counts.documents)
    if counts.empty_documents > MANY * documents:
        found.append(f"{counts.empty_documents:,} of {documents:,} documents are empty: check --spec.text")
    alone = counts.left_over_sentences / max(1, counts.sentences)
    if spec.is_paired and (counts.one_sentence_documents > MANY * documents or alone > 2 * MANY):
        found.append(
            f"{counts.left_over_sentences:,} sentences are in no pair, as documents end with them and they are alone: "
            f"{counts.one_sentence_documents:,} of {documents:,} documents have but one; "
            "take whole texts as documents, or write --spec.objective mlm, which packs sentences of several"
        )
    mean = counts.sentence_tokens / max(1, counts.sentences)
    if mean > spec.max_seqlen:
        remedy = {"sentencex": "check --spec.language, or try --spec.sentences lines", "lines": "try sentencex"}
        found.append(
            f"sentences have {mean:.0f} tokens on average, more than max_seqlen ({spec.max_seqlen}): they are hardly "
            f"cut as sentences; {remedy.get(spec.sentences, 'cut the lists finer')}"
        )
    if counts.train and counts.mean_length < spec.max_seqlen / 2:
        found.append(
            f"instances have {counts.mean_length:.0f} of {spec.max_seqlen} tokens on average, as documents are short: "
            "lower --spec.max_seqlen, or write --spec.objective mlm, which packs several documents"
        )
    return found


def _of_the_vocabulary(counts: InstanceCounts, spec: PrepareSpec) -> list[str]:
    """Of one that was chosen: that of a model is what it is."""
    if not spec.train_tokenizer or counts.train_tokens >= FEW_OF_A_TOKEN * spec.vocab_size:
        return []
    each = counts.train_tokens / spec.vocab_size
    return [
        f"{counts.train_tokens:,} tokens are {each:.0f} for each of a vocabulary of {spec.vocab_size:,}, so that most "
        "of it is seen too seldom to be learnt: lower --spec.vocab_size, or take more documents"
    ]


def _of_copies(counts: InstanceCounts, spec: PrepareSpec) -> list[str]:
    if spec.duplicates == "drop" or not counts.duplicates:
        return []
    leak = "held-out texts may be trained on as well, and seem better learned than they are"
    return [
        f"{counts.duplicates:,} of {counts.documents:,} documents have the text of an earlier one, and are kept: "
        f"{leak if spec.held_out else 'training sees them as often'}; write --spec.duplicates drop, into another output"
    ]


def _of_pairs(counts: InstanceCounts) -> list[str]:
    if counts.share(counts.train_without_other) <= MANY / 2:
        return []
    return [
        f"{counts.train_without_other:,} pairs are honest that would have been random: there was no other document in "
        f"their slice, so that {100 * counts.share(counts.train_labelled):.0f} % are random, not half; "
        "give --slicing.max_rows and --slicing.max_bytes room for many documents, and take fewer, larger shards"
    ]


def _of_the_split(counts: InstanceCounts, spec: PrepareSpec) -> list[str]:
    if spec.held_out and not counts.held_out:
        return [f"nothing is held out, by chance, of {counts.documents:,} documents: raise --spec.held_out"]
    if counts.held_out_without_other > MANY * max(1, counts.held_out):
        return [
            f"{counts.held_out_without_other:,} of {counts.held_out:,} held-out pairs are honest that would have been "
            "random, as few held-out documents share a slice: next-sentence accuracy on them says little; raise "
            "--spec.held_out, or take larger slices (--slicing.max_rows) of larger shards"
        ]
    return []
