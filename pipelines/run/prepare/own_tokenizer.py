"""A corpus' own tokenizer: trained once, on a sample of it, and kept in the output for all later runs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pipelines.errors import SpecError
from pipelines.model.tokenizer_training import FILES, save_tokenizer, train_tokenizer
from pipelines.prepare_spec import PrepareSpec
from pipelines.run.ground import first_columns
from pipelines.run.order import Order
from pipelines.run.progress import Progress
from pipelines.run.prospects.sample import sample
from pipelines.schema import unfold
from pipelines.spec import Calibration, Slicing, refuse
from pipelines.stages.documents import TEXT, values_of
from pipelines.stages.read import Reading, Stretch, slices_of
from pipelines.store.location import Conflict, Location, locate
from pipelines.store.output import FINGERPRINT
from pipelines.store.shards import Footer, list_shards, read_footers

FOLDER = "tokenizer"
RUN = 64
"""Documents of the sample that are read at one place."""
FOOTER_THREADS = 64


def with_tokenizer(spec: PrepareSpec, order: Order, *, train: bool = True) -> PrepareSpec:
    """The spec with the name of its tokenizer: as it is, or of the one in the output, which is trained if it is new.

    SpecError where there would be two, or where none can be trained, or is to be (``train``).
    """
    if not spec.train_tokenizer:
        return spec
    place = _place(spec, order)
    is_there = place.stat(FILES[0]) is not None
    if not is_there and not train:
        raise SpecError(
            f"the {spec.train_tokenizer} tokenizer of {order.output} is not trained yet, and a plan writes nothing: "
            "run once with --limit 1, which trains it on a sample of all, or plan with --spec.tokenizer of another one"
        )
    if not is_there:
        with Progress(mode=order.progress) as progress:
            progress.say(f"training a {spec.train_tokenizer} tokenizer of {spec.vocab_size:,} tokens on a sample")
            _train(spec, order, place)
    return replace(spec, tokenizer=place.uri)


def _place(spec: PrepareSpec, order: Order) -> Location:
    if spec.tokenizer:
        refuse(spec, "tokenizer", "leave it out, since one is to be trained (train_tokenizer), or that")
    if FINGERPRINT in order.output:
        raise SpecError(
            f"output {order.output!r} has {FINGERPRINT}, which a tokenizer that is still to be trained decides: name a "
            "folder, or train the tokenizer into one of its own first"
        )
    output = locate(order.output, order.storage)
    output.check_output()
    return output.join(FOLDER)


def _train(spec: PrepareSpec, order: Order, place: Location) -> None:
    """Put a new tokenizer there. Of two runs that do, the first to put the last file wins."""
    kind = spec.train_tokenizer
    assert kind
    texts = _texts(spec, order)
    tokenizer = train_tokenizer(kind, texts, spec.vocab_size, lowercase=spec.lowercase)
    with tempfile.TemporaryDirectory(prefix="manta-tokenizer-") as folder:
        save_tokenizer(tokenizer, kind, Path(folder), spec.max_seqlen)
        for name in reversed(FILES):
            try:
                place.put_if(name, Path(folder, name).read_bytes(), None)
            except Conflict:
                continue


def _texts(spec: PrepareSpec, order: Order) -> Iterator[str]:
    """Texts of the sample, or their sentences where the column holds these."""
    listed = list_shards(order.documents, order.storage)
    shards = order.period.select(listed) or listed
    footers = read_footers(shards, order.storage, FOOTER_THREADS)
    known = [(shard, found.num_rows) for shard in shards if isinstance(found := footers[shard.shard_id], Footer)]
    columns = first_columns(order, spec, shards)
    reading = Reading(columns=columns, slicing=Slicing(), output_row_bytes=0, storage=order.storage)
    asked = Calibration(num_documents=spec.tokenizer_documents, seed=spec.seed)
    return _read(sample(known, asked, run=RUN), reading)


def _read(stretches: list[Stretch], reading: Reading) -> Iterator[str]:
    for slice_ in slices_of(stretches, reading):
        documents, header = unfold(slice_)
        for value in () if header.error else values_of(documents[TEXT]):
            parts = value if isinstance(value, list) else [value]
            yield from (part for part in parts if isinstance(part, str))
