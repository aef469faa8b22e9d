"""What is submitted to a cluster: a command line, its id, names of variables, and a folder that travels.

Whoever may see the cluster's jobs sees all of it, in the dashboard too, so that no secret may be in it: a secret is set
on the cluster, and named.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.errors import SpecError
from pipelines.run.launch.parcel import Parcel
from pipelines.spec import Storage
from pipelines.store.output import FINGERPRINT

SECRET_WORDS = {"SECRET", "TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS", "KEY", "APIKEY"}
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LOGIN = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
"""A name and a password in a URL."""
SHORTEST_SECRET = 8
"""Characters from which on the value of a variable is told from a word by chance."""
LONGEST_SLUG = 60
FINGERPRINT_DIGITS = 12
MOST_CHARACTERS = 100_000
"""Of a command: the shell that runs it takes 128 KiB."""


@dataclass(frozen=True, kw_only=True)
class Launching:
    """Where a job is launched, and what goes there with it."""

    address: str = ""
    """The cluster's dashboard, http://HEAD:8265; "": the one that RAY_API_SERVER_ADDRESS or RAY_ADDRESS names."""
    working_dir: str = "."
    """The folder that jobs/ is in; it travels, less what its .gitignore and .rayignore name."""
    environment: tuple[str, ...] = ()
    """Names of variables whose values are taken from here. Whoever may see the cluster's jobs sees them: no secrets."""
    secrets: tuple[str, ...] = ()
    """Names of variables that must be set on the cluster; their values do not travel."""

    def __post_init__(self) -> None:
        for name in (*self.environment, *self.secrets):
            if not VARIABLE.fullmatch(name):
                raise SpecError(
                    "what --environment and --secrets take are names of variables alone, such as AWS_REGION"
                )
        for name in self.environment:
            if is_secret(name):
                raise SpecError(
                    f"environment names {name}, whose value would be seen by all who see the cluster's jobs: set it on "
                    f'the cluster\'s nodes, and write --secrets "[{name}]"'
                )
            if name not in os.environ:
                raise SpecError(f"environment names {name}, which is not set here: set it, or leave it out")


def is_secret(name: str) -> bool:
    """Whether a variable's name says that its value is a secret."""
    return bool(SECRET_WORDS & set(name.upper().split("_")))


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A job that was checked here, with all that travels."""

    job: str
    flags: tuple[str, ...]
    """Of the job alone, all that differs from its defaults."""
    output: str
    fingerprint: str
    """Of the request: the spec, with the model by its name, since the files may be out of reach from here."""
    where: Launching
    parcel: Parcel
    storage: Storage = Storage()

    def __post_init__(self) -> None:
        if len(self.entrypoint) > MOST_CHARACTERS:
            raise SpecError(
                f"the command is {len(self.entrypoint):,} characters long, a shell takes {MOST_CHARACTERS:,}: name "
                "folders or globs instead of each file"
            )
        if LOGIN.search(self.entrypoint):
            raise SpecError("there is a password in a URL of the request: leave it out, and use the store's variables")
        for name, value in os.environ.items():
            if is_secret(name) and len(value) >= SHORTEST_SECRET and value in self.entrypoint:
                raise SpecError(f"the value of {name} is in the request, and would be seen by others: leave it out")

    @property
    def command(self) -> str:
        """What runs, with nothing around it."""
        return shlex.join(["python", "-m", f"jobs.{self.job}", *self.flags])

    @property
    def entrypoint(self) -> str:
        """The line that a shell of the head runs: exit code 2 where a secret is missing there."""
        return "".join(_require(name) for name in self.where.secrets) + f"exec {self.command}"

    @property
    def runtime_env(self) -> dict[str, Any]:
        """What Ray is to bring along."""
        values = {name: os.environ[name] for name in self.where.environment}
        return {"working_dir": str(self.parcel.folder), **({"env_vars": values} if values else {})}

    def ids(self) -> Iterator[str]:
        """Ids for it, which are unique for ever on a cluster: the first is made of the request alone, then -r2, -r3."""
        slug = re.sub(r"[^A-Za-z0-9]+", "-", self.output.replace(FINGERPRINT, "")).strip("-")[-LONGEST_SLUG:].strip("-")
        name = f"{self.job}-{slug}-{self.fingerprint[:FINGERPRINT_DIGITS]}"
        yield name
        attempt = 2
        while True:
            yield f"{name}-r{attempt}"
            attempt += 1


def _require(name: str) -> str:
    told = f"SpecError: {name} is not set on the cluster: set it on every node, by its image or its secrets"
    return f'[ -n "${{{name}:-}}" ] || {{ echo {shlex.quote(told)} >&2; exit 2; }}; '


def flags_of(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Settings, such as a configuration file has them, as flags: ``{"spec": {"dim": 64}}`` is --spec.dim 64.

    A plain switch (True at the top) takes no value. Texts stay as they are; all else is JSON, which is YAML too.
    """
    flags: list[str] = []
    for name, value in settings.items():
        flag = f"--{prefix}{name}"
        if isinstance(value, Mapping):
            flags += flags_of(value, f"{prefix}{name}.")
        elif isinstance(value, bool) and not prefix and "." not in name:
            flags += [flag] if value else []
        else:
            flags.append(f"{flag}={_text(value)}")
    return flags


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(list(value) if isinstance(value, Sequence) else value)
