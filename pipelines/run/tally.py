"""What a run's slices add up to. Kept small: a number a name, a count a reason.

Stats are summed by name over slices, but those named ``peak_bytes.<stage>`` are merged by the greatest: a worker's
memory is no sum over the slices that it saw. The names, all of them seconds, bytes or counts of one slice:

    read_seconds, read_bytes, repeated_ids            tokenize_seconds, num_tokens, truncated
    encode_wait_seconds, encode_compute_seconds, encode_convert_seconds, encode_tokens, encode_computed_tokens,
    encode_flops (useful ones, padding not counted), clipped_numbers (int8)
    examples_seconds, examples.<what> (``pipelines.stages.examples``)
    instances_seconds, instances.<what> and length.<tokens> (``pipelines.stages.instance_stats``)
    write_seconds, write_bytes
"""

from __future__ import annotations

from collections import Counter

from pipelines.schema import SliceHeader

PEAK = "peak_bytes."


class Tally:
    """Sums over the slices of a run, in whichever order they come."""

    def __init__(self) -> None:
        self.num_slices = 0
        self.num_documents = 0
        """Documents of the slices that were done."""
        self.num_rows = 0
        """Rows written: documents, or chunks of them."""
        self.num_missing = 0
        """Documents behind the place where a shard broke."""
        self.reasons: Counter[str] = Counter()
        """Dead letters by "stage: reason"."""
        self.stats: Counter[str] = Counter()
        self.peak_bytes: dict[str, float] = {}
        """Private memory of the largest worker, by stage."""
        self.facts: dict[str, Counter[str]] = {}
        """What slices say of themselves, such as precision: number of slices by value, by name."""

    def add(self, header: SliceHeader, *, num_rows: int) -> None:
        """One more slice is done, with so many rows written; or its shard broke there."""
        if header.error:
            self.num_missing += header.num_documents
            return
        self.num_slices += 1
        self.num_documents += header.num_documents
        self.num_rows += num_rows
        self.reasons.update(f"{letter.stage}: {letter.reason}" for letter in header.dead_letters)
        for name, value in header.stats.items():
            if name.startswith(PEAK):
                stage = name.removeprefix(PEAK)
                self.peak_bytes[stage] = max(self.peak_bytes.get(stage, 0.0), value)
            else:
                self.stats[name] += value  # type: ignore[assignment]  # a Counter counts floats as well
        for name, fact in header.facts.items():
            self.facts.setdefault(name, Counter())[fact] += 1

    @property
    def num_dead_letters(self) -> int:
        """Dead letters of any reason."""
        return self.reasons.total()

    @property
    def commonest_reason(self) -> str:
        """Why most dead letters are; "" where there are none."""
        return max(self.reasons, key=lambda reason: self.reasons[reason], default="")

    def fact(self, name: str) -> str:
        """The values of a fact, the commonest first, joined by commas."""
        return ", ".join(value for value, _ in self.facts.get(name, Counter()).most_common())
