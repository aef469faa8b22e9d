"""The tree of exceptions, and with it every way in which a run can go wrong.

    MantaError
      SpecError          the request is wrong; nothing was started
      ShardError         this input is wrong; it is set aside and reported, the others go on
      StoreError         the world failed; retried, then the run stops and can be resumed
      FingerprintError   somebody else's results are in the way; nothing is touched
      LeaseError         another run holds the output
      GateError          the encoder does not agree with its reference
      DivergenceError    a training's loss is no number any more; its checkpoints are whole
      Interrupted        a signal asked the run to stop; it can be resumed

Each takes one positional argument, the message: an exception with others does not survive pickling between Ray
processes. A message states the fact, the value and the remedy, and never a document's text.
"""

from __future__ import annotations


class MantaError(Exception):
    """The root of the tree. ``exit_code`` is what the process ends with when it is not caught."""

    exit_code = 1


class SpecError(MantaError):
    """The request is wrong; nothing was started."""

    exit_code = 2


class ShardError(MantaError):
    """This input is wrong; it is set aside and reported, the others go on."""

    exit_code = 3


class StoreError(MantaError):
    """The world failed; retried, then the run stops and can be resumed."""


class FingerprintError(MantaError):
    """Somebody else's results are in the way; nothing is touched."""

    exit_code = 2


class LeaseError(MantaError):
    """Another run holds the output."""

    exit_code = 4


class GateError(MantaError):
    """The encoder does not agree with its reference."""


class DivergenceError(MantaError):
    """A training's loss or gradient is not finite; the checkpoints before are whole."""


class Interrupted(MantaError):
    """A signal asked the run to stop; what is done stays done, and the same command goes on from there."""

    exit_code = 130
