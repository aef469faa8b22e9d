"""Questions and their contexts: a window of the context an example, with the answer's first and last token."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipelines.examples import ANSWER_END, ANSWER_START, ANSWERS, CHAR_ENDS, CHAR_STARTS, CONTEXT
from pipelines.model.answer_windows import answer_tokens, answer_windows
from pipelines.model.example_tokenizer import ExampleTokenizer
from pipelines.stages.labelled import Labelled
from pipelines.stages.task_examples import TaskExamples, int_lists


def make_answer_examples(found: Labelled, tokenizer: ExampleTokenizer, stride: int) -> TaskExamples:
    """The windows of each document, one after another."""
    assert found.answers is not None
    questions, contexts = found.texts
    windows = answer_windows(tokenizer, questions, contexts, stride)
    asked = windows.question
    begin, end = (np.array([getattr(one, side) for one in found.answers], np.int64)[asked] for side in ("begin", "end"))
    first, last = answer_tokens(windows, begin, end)
    has_answer = np.bincount(asked[last > 0], minlength=len(questions)) > 0
    return TaskExamples(
        task="question_answering",
        document=asked,
        values=windows.values,
        offsets=windows.offsets,
        segment_b_start=windows.segment_b_start,
        targets={
            ANSWER_START: pa.array(first, pa.int32()),
            ANSWER_END: pa.array(last, pa.int32()),
            CHAR_STARTS: int_lists(windows.char_starts, windows.offsets),
            CHAR_ENDS: int_lists(windows.char_ends, windows.offsets),
            CONTEXT: pa.array(contexts, pa.large_string()).take(pa.array(asked)),
            ANSWERS: pa.array([one.texts for one in found.answers], pa.list_(pa.large_string())).take(pa.array(asked)),
        },
        stats={
            "examples.windows": len(asked),
            "examples.without_answer": sum(not one.texts for one in found.answers),
            "examples.untold_answers": sum(
                one.begin >= 0 and not told for one, told in zip(found.answers, has_answer, strict=True)
            ),
        },
    )
