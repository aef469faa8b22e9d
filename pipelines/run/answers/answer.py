"""One text answered in this process, without Ray: the model's outputs, and on request what it computed inside."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np
from rich.console import Console

from pipelines.model.device import pick_device
from pipelines.model.folder import read_folder, resolve
from pipelines.model.inspection import Insides, Inspector
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.model.tokens import Ids, TokenizedDocuments
from pipelines.predict_spec import PredictSpec
from pipelines.run.answers import insides as inside
from pipelines.run.answers import view as outside
from pipelines.run.answers.view import View
from pipelines.run.local import Predictor
from pipelines.spec import DocumentSpec, EncodePool, Storage, refuse
from pipelines.store.models import fetch, identify
from pipelines.store.user_code import put_on_path, read_user_code


def answer(
    spec: PredictSpec,
    text: str,
    view: View,
    pool: EncodePool,
    storage: Storage,
    *,
    text_pair: str = "",
    user_code: str = "",
) -> int:
    """Print what a model says of a text, or of a pair, chunk by chunk, as ``view`` says. The exit code, 0."""
    if not text:
        refuse(view, "inspect", "name the text to look at by --text; over a corpus nothing is looked at")
    if text_pair and not spec.is_paired:
        spec = replace(spec, text_pair="text_pair")  # no column is read
    answers = Predictor(spec, pool, storage, user_code).predict([text], [text_pair] if spec.pairs else [])
    more = {"text_pair": text_pair, "user_code": user_code}
    found = inspect(spec, text, view.inspect, pool, storage, **more) if view.inspect else []
    if view.format == "json" or (view.format == "auto" and not sys.stdout.isatty()):
        for told, insides in zip_longest(answers, found):
            numbers = inside.facts(insides) if insides else {}
            print(json.dumps(told | numbers, default=float), flush=True)  # a float16 is no float
        return 0
    console = Console()
    for told, insides in zip_longest(answers, found):
        console.print(outside.render(told, console.width))
        if insides:
            console.print(inside.render(insides, told["tokens"], console.width))
    return 0


def inspect(
    spec: DocumentSpec,
    text: str,
    names: Sequence[str],
    pool: EncodePool = EncodePool(),
    storage: Storage = Storage(),
    *,
    text_pair: str = "",
    user_code: str = "",
) -> list[Insides]:
    """What the network computes of each chunk of a text. SpecError where it has no such thing.

    ``text_pair`` is the second text, where the spec has one.

    >>> inspect(PredictSpec(model="bert-base-uncased"), "A text.", ["attentions"])[0].attentions.shape
    (12, 12, 5, 5)
    """
    model = identify(spec.model, storage, trust_remote_code=spec.trust_remote_code)
    folder = read_folder(fetch(model, storage))
    if user_code:
        put_on_path(read_user_code(user_code), spec.model_class.rpartition(".")[0])
    tokenizer = DocumentTokenizer(folder, resolve(spec, folder))
    tokens = tokenizer.chunks([text], [text_pair])
    inspector = Inspector(folder, spec, names, device=pick_device(pool.device).type)
    types = _types(tokens) if tokenizer.has_types else [None] * len(tokens.document)
    chunks = np.split(tokens.values, tokens.offsets[1:-1])
    return [inspector.inspect(ids, kinds) for ids, kinds in zip(chunks, types, strict=True)]


def _types(tokens: TokenizedDocuments) -> Sequence[Ids | None]:
    """Of each chunk of a pair the types of its tokens, 1 from the second text on."""
    if tokens.segment_b_start is None:
        return [None] * len(tokens.document)
    sizes = zip(tokens.num_tokens.tolist(), tokens.segment_b_start.tolist(), strict=True)
    return [(np.arange(length) >= start).astype(np.int32) for length, start in sizes]
