"""Launch a job on a cluster: checked here, submitted to its head, followed to its end."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib import import_module
from typing import Any

from jobs.entry import main, parse, parser_of
from pipelines.errors import SpecError
from pipelines.run.convert.convert_order import ConvertOrder
from pipelines.run.evaluations.evaluation_order import EvaluationOrder
from pipelines.run.finetune.finetune_order import FinetuneOrder
from pipelines.run.launch.launched import LaunchedRun, told_here
from pipelines.run.launch.launching import attend, check, send, show
from pipelines.run.launch.submission import Launching, Submission, flags_of
from pipelines.run.order import Order
from pipelines.run.trainings.training_order import TrainingOrder

ORDERS = {"convert": ConvertOrder, "embed": Order, "predict": Order, "prepare": Order, "pretrain": TrainingOrder,
          "finetune": FinetuneOrder, "evaluate": EvaluationOrder}  # fmt: skip
WAIT = "Show the job's log to its end, and end with its exit code; Ctrl-C leaves it alone, a second one stops it."
DRY_RUN = "Show what would run and what would travel, and submit nothing."
USAGE = "python -m jobs.launch JOB --address http://HEAD:8265 [--config FILE] [--flag VALUE ...]"


def launch(job: str, config: str | Mapping[str, Any], **where: Any) -> LaunchedRun:
    """Check a request and submit it to a cluster: ``launch("embed", "embed.yaml", address="http://head:8265").wait()``.

    ``config`` is a file of the job's flags, or a dict of what stands in one; ``where`` are fields of ``Launching``.
    SpecError where the request is wrong or the cluster does not take it.
    """
    settings = {"config": config} if isinstance(config, str) else config
    return send(read(job, [*flags_of(settings), *flags_of(where)])[0])


def read(job: str, words: Sequence[str]) -> tuple[Submission, dict[str, bool]]:
    """What the words after the job's name ask to be submitted, checked; and the switches among them."""
    parser = parser_for(job)
    config = parser.parse_args(words)
    settings = told_here() | json.loads(parser.dump(config, format="json", skip_default=True))
    own = {field.name: config[field.name] for field in fields(Launching)}
    if "ray" in settings:
        raise SpecError(f"ray is {settings['ray']}: leave it out, the job runs on the Ray of the cluster")
    flags = flags_of({name: value for name, value in settings.items() if name not in {*own, "wait", "dry_run"}})
    submission = check(job, ORDERS[job], parse(_function(job), flags), flags, Launching(**own))
    return submission, {"wait": config.wait, "dry_run": config.dry_run}


def parser_for(job: str) -> Any:
    """The parser of a job with the flags of its launch. SpecError where there is no such job."""
    if job not in ORDERS:
        told = f"there is no job {job!r} to launch" if job else "no job is named"
        raise SpecError(f"{told}: write {USAGE}, with one of {', '.join(ORDERS)}")
    parser = parser_of(_function(job))
    parser.usage = USAGE.replace("JOB", job)
    parser.add_class_arguments(Launching)
    parser.add_argument("--wait", action="store_true", help=WAIT)
    parser.add_argument("--dry_run", action="store_true", help=DRY_RUN)
    return parser


def _function(job: str) -> Any:
    return getattr(import_module(f"jobs.{job}"), job)


def command() -> int:
    """What the command line asks for."""
    submission, chosen = read("".join(sys.argv[1:2]), sys.argv[2:])
    if chosen["dry_run"]:
        return show(submission, parse(_function(submission.job), submission.flags))
    run = send(submission)
    return attend(run) if chosen["wait"] else 0


if __name__ == "__main__":
    main(command, [])
