"""What a spec asks of chunks: its outputs, as many as can be by one pass through the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import SpecError
from pipelines.model.classifier import HeadLogits
from pipelines.model.encoder import PooledVectors
from pipelines.model.found import (
    Classified,
    Filled,
    Followed,
    FollowedSentences,
    Perplexities,
    TokenEmbeddings,
    Vectors,
)
from pipelines.model.heads import load_heads
from pipelines.model.inputs import Inputs
from pipelines.model.loop import Chunks, LoopStats, Rows
from pipelines.model.next_sentence import Following
from pipelines.model.reader import Gleaning, Reader
from pipelines.model.scorer import Fillings, MaskScorer
from pipelines.model.token_vectors import TokenVectors
from pipelines.model.tokenizer import DocumentTokenizer
from pipelines.model.variants import vector_specs
from pipelines.predict_spec import EMBEDDINGS, PredictSpec
from pipelines.text.mask import nth_words_masked

NOT_FINITE = "what the network gives is not finite"


@dataclass(frozen=True)
class Predictions:
    """What was found, by output; chunks that failed by number, with the reason; what was done."""

    found: dict[str, Any] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    stats: LoopStats = field(default_factory=LoopStats)


@dataclass(frozen=True)
class _Begun:
    """An output in the making: what it takes from the pass; after that what was found, and chunks without any."""

    gleaning: Gleaning
    finish: Callable[[dict[int, str]], Any]
    numbers: Callable[[], npt.NDArray[Any]] | None = None  # [C, ...], by which chunks are found that are not finite


class Predictor:
    """A reader with the tokenizer that made the chunks. SpecError where masks are asked for and it has none."""

    def __init__(self, reader: Reader, tokenizer: DocumentTokenizer, spec: PredictSpec) -> None:
        if spec.needs_masks and tokenizer.mask_id is None:
            raise SpecError("the model's tokenizer has no mask token: choose a masked language model")
        self._reader, self._tokenizer, self._spec = reader, tokenizer, spec
        self._scorer = MaskScorer(reader)
        self._mask_id = -1 if tokenizer.mask_id is None else tokenizer.mask_id
        self._vector_specs = vector_specs(spec, reader.folder)
        self._heads = load_heads(reader.folder, reader.torch_device) if self._vector_specs else None
        self._left_out = 0 if reader.folder.include_prompt else tokenizer.prompt_length

    def predict(self, inputs: Inputs) -> Predictions:
        """Every output of the spec. Those that read the chunks as they are share one pass."""
        shared, found, failures, stats = self._shared(inputs)
        alone: dict[str, Callable[[Inputs], Predictions]] = {
            "fill_mask": self._filled, "pseudo_perplexity": self._scored, "next_sentence": self._sentences,
        }  # fmt: skip
        for output in self._spec.outputs:
            if output not in shared:
                one = alone[output](inputs)
                found |= one.found
                failures |= one.failures
                stats = stats.plus(one.stats)
        return Predictions(found, failures, stats)

    def _shared(self, inputs: Inputs) -> tuple[set[str], dict[str, Any], dict[int, str], LoopStats]:
        begun = {name: one for name in self._spec.outputs if (one := self._begin(name, inputs))}
        if not begun:
            return set(), {}, {}, LoopStats()
        chunks = inputs.chunks(typed=self._tokenizer.has_types)
        failures, stats = self._reader.read(chunks, [one.gleaning for one in begun.values()])
        for one in begun.values():
            if one.numbers is not None:
                failures |= {row: NOT_FINITE for row in _not_finite(one.numbers(), chunks) if row not in failures}
        return set(begun), {name: one.finish(failures) for name, one in begun.items()}, failures, stats

    def _begin(self, output: str, inputs: Inputs) -> _Begun | None:
        """An output that reads the chunks as they are; None for one that does not."""
        if output in EMBEDDINGS:
            return self._vectors(output, inputs)
        if output == "token_embeddings":
            return self._token_vectors(inputs)
        if output == "fill_mask" and not self._spec.mask_every:
            return self._fillings(inputs)
        if output == "next_sentence" and self._spec.is_paired:
            return self._following(inputs)
        if output == "classify":
            return self._classes(inputs)
        return None

    def _vectors(self, output: str, inputs: Inputs) -> _Begun:
        assert self._heads is not None
        make = partial(
            PooledVectors, spec=self._vector_specs[output], heads=self._heads, device=self._reader.torch_device
        )
        pooled = make(_count(inputs), left_out=self._left_out)
        rows = np.arange(_count(inputs))
        gleaning = Gleaning(rows=rows, harvest=pooled, probe=lambda: make(1, left_out=0))
        return _Begun(gleaning, lambda _: Vectors(pooled.numpy()), pooled.numpy)

    def _token_vectors(self, inputs: Inputs) -> _Begun:
        chunks, width = inputs.chunks(typed=False), self._reader.folder.hidden_size
        vectors, chars = TokenVectors(chunks, width), inputs.chars
        assert chars is not None
        one = Chunks(np.zeros(4, np.int32), np.array([0, 4]))
        gleaning = Gleaning(rows=np.arange(len(chunks)), harvest=vectors, probe=lambda: TokenVectors(one, width))
        return _Begun(gleaning, lambda _: TokenEmbeddings(vectors.vectors, chars), lambda: vectors.vectors)

    def _classes(self, inputs: Inputs) -> _Begun:
        classifier, device = self._reader.equipment.classifier, self._reader.torch_device
        assert classifier is not None
        harvest = HeadLogits(classifier, inputs.chunks(typed=False), device)
        probe = partial(HeadLogits.probe, classifier, device)
        gleaning = Gleaning(rows=np.arange(_count(inputs)), harvest=harvest, probe=probe)
        told = partial(Classified, labels=classifier.labels, cls_id=self._tokenizer.cls_id)
        return _Begun(gleaning, lambda _: told(harvest.values), lambda: harvest.values)

    def _following(self, inputs: Inputs) -> _Begun:
        harvest, gleaning = self._follow(_count(inputs))
        return _Begun(gleaning, lambda _: Followed(harvest.probabilities), lambda: harvest.probabilities)

    def _follow(self, count: int) -> tuple[Following, Gleaning]:
        head = self._reader.equipment.next_sentence_head
        assert head is not None
        harvest = Following(count, head)
        return harvest, Gleaning(rows=np.arange(count), harvest=harvest, probe=lambda: Following(1, head))

    def _fillings(self, inputs: Inputs) -> _Begun:
        chunks = inputs.chunks(typed=False)
        gleaning, found = self._scorer.fillings(chunks, self._mask_id, self._spec.top_k)
        return _Begun(gleaning, lambda failures: self._told(chunks, found, failures))

    def _filled(self, inputs: Inputs) -> Predictions:
        """Fillings also of words that are masked for that, in chunks without a mask: the network reads those anew."""
        chunks = inputs.chunks(typed=self._tokenizer.has_types)
        if inputs.words is not None:
            values = nth_words_masked(
                chunks.values,
                chunks.offsets,
                self._scorable(inputs),
                inputs.words,
                self._mask_id,
                self._spec.mask_every,
            )
            chunks = Chunks(values, chunks.offsets, chunks.segment_b_start)
        found = self._scorer.fill(chunks, self._mask_id, self._spec.top_k)
        return Predictions({"fill_mask": self._told(chunks, found, found.failures)}, found.failures, found.stats)

    def _told(self, chunks: Chunks, found: Fillings, failures: dict[int, str]) -> Filled:
        places = np.flatnonzero(chunks.values == self._mask_id)
        owners = np.searchsorted(chunks.offsets, places, side="right") - 1
        best = chunks.values.copy()
        best[places] = found.ids[:, 0]
        spans = zip(chunks.offsets[:-1].tolist(), chunks.offsets[1:].tolist(), strict=True)
        whole = [[] if row in failures else best[start:stop].tolist() for row, (start, stop) in enumerate(spans)]
        return Filled(
            counts=np.bincount(owners, minlength=len(chunks)),
            positions=(places - chunks.offsets[owners]).astype(np.int32),
            ids=found.ids,
            log_probs=found.log_probs,
            tokens=[self._tokenizer.token(one) for one in found.ids.ravel().tolist()],
            texts=[self._tokenizer.decode(ids) for ids in whole],
        )

    def _scored(self, inputs: Inputs) -> Predictions:
        """The chunks' pseudo-log-likelihoods, by the spec's mask_unit and mask_stride.

        Special tokens, the prompt and masks that stand in the text are not scored.
        """
        chunks = inputs.chunks(typed=self._tokenizer.has_types)
        numbers = np.zeros(len(chunks.values)) if inputs.words is None else inputs.words
        scorable, spec = self._scorable(inputs), self._spec
        found = self._scorer.score(chunks, scorable, numbers, self._mask_id, spec.mask_unit, spec.mask_stride)
        before = np.concatenate([[0.0], np.cumsum(np.nan_to_num(found.log_probs.astype(np.float64)))])
        counts = np.concatenate([[0], np.cumsum(scorable)])
        told = Perplexities(
            log_prob=np.diff(before[chunks.offsets]),
            num_scored=np.diff(counts[chunks.offsets]).astype(np.int32),
            token_log_probs=found.log_probs,
        )
        return Predictions({"pseudo_perplexity": told}, found.failures, found.stats)

    def _scorable(self, inputs: Inputs) -> npt.NDArray[np.bool_]:
        own: npt.NDArray[np.bool_] = ~np.isin(inputs.values, self._tokenizer.special_ids)
        if inputs.words is not None:
            return own & (inputs.words >= 0)
        places = np.arange(len(own)) - np.repeat(inputs.offsets[:-1], np.diff(inputs.offsets))
        return own & (places >= self._tokenizer.prompt_length)

    def _sentences(self, inputs: Inputs) -> Predictions:
        """Each sentence of a document held against the one before; a pair that fails fails its chunk."""
        assert inputs.sentences is not None
        pairs = inputs.sentences
        chunks = Chunks(pairs.values, pairs.offsets, pairs.segment_b_start if self._tokenizer.has_types else None)
        harvest, gleaning = self._follow(len(chunks))
        failures, stats = self._reader.read(chunks, [gleaning])
        failures |= {row: NOT_FINITE for row in _not_finite(harvest.probabilities, chunks) if row not in failures}
        owners = np.repeat(np.arange(len(pairs.counts)), pairs.counts)
        told = FollowedSentences(harvest.probabilities, pairs)
        return Predictions({"next_sentence": told}, {int(owners[row]): why for row, why in failures.items()}, stats)


def _count(inputs: Inputs) -> int:
    return len(inputs.offsets) - 1


def _not_finite(numbers: npt.NDArray[Any], chunks: Chunks) -> list[int]:
    """Chunks of which a number is not finite. There are numbers for each chunk, or for each token."""
    bad: Rows = np.flatnonzero(~np.isfinite(numbers).all(axis=tuple(range(1, numbers.ndim))))
    if len(numbers) != len(chunks):
        bad = np.unique(np.searchsorted(chunks.offsets, bad, side="right") - 1)
    return [int(row) for row in bad]
