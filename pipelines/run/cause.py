"""Which of our errors is at the bottom of an exception, also of one that came from another process."""

from __future__ import annotations

import re

from pipelines import errors
from pipelines.errors import MantaError

RAISED = re.compile(r"^pipelines\.errors\.(\w+): (.+)$", re.MULTILINE)
"""The last line of a stack trace that ends in one of our errors."""


def cause(error: BaseException | None) -> MantaError | None:
    """The MantaError in an exception's chain. What an actor raised comes wrapped by Ray, mostly as text alone."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        wrapped = getattr(error, "cause", None)
        if isinstance(error, MantaError) and wrapped is None:
            return error
        if type(error).__module__.startswith("ray.") and (told := RAISED.findall(str(error))):
            kind, message = told[-1]
            return getattr(errors, kind)(message)
        seen.add(id(error))
        error = wrapped or error.__cause__ or error.__context__
    return None
