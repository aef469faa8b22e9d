"""What the parser of flags refuses, in the words of the command line: fact, value, remedy."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from typing import Any, NoReturn

import jsonargparse

from pipelines.errors import SpecError
from pipelines.run.cause import cause

WRONG_VALUE = re.compile(
    r'.*Parser key "(?P<key>[^"]+)": .*?(?:Expected a|Subtypes:) (?P<kinds>.+?)'
    r"(?: Errors: .*Given value:|\. Got value:) (?P<value>.*)"
)
WRONG_NAME = re.compile(
    r"(?:Group '(?P<group>[^']+)' does not accept option|Option) '(?P<name>[^']+)'.*"
    r"|unrecognized arguments: --(?P<flag>[^ =]+).*"
)
NO_FLAG = re.compile(r"unrecognized arguments: (?P<word>[^- ]\S*).*")
MISSING = re.compile(r"the following arguments are required: (?P<names>[^:]+)")
KIND = re.compile(r"(?:<class ')?\b(int|float|bool|str|list|dict)\b|Literal\[(.*?)\]")
WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "list": '"[a, b]"',
         "dict": '"{a: b}"'}  # fmt: skip


class OneLineParser(jsonargparse.ArgumentParser):
    """A parser that refuses in one line, without the list of all its flags."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise SpecError: the one that made a value impossible, or what the parser says in plainer words."""
        flags = [name.lstrip("-") for name in self._option_string_actions]
        raise cause(ex) or SpecError(plainly(" ".join(message.split()), flags, f"see {self.prog} --help"))


class ConfigFile(jsonargparse.ActionConfigFile):
    """A file of flags. What is refused in it is refused with its name."""

    def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
        if not os.path.isfile(values):
            raise SpecError(f"--config {values}: there is no such file")
        try:
            super().__call__(parser, cfg, values, option_string)
        except SpecError as error:
            raise SpecError(f"--config {values}: {error}") from error


def plainly(message: str, flags: Sequence[str], help_: str) -> str:
    """A refusal of the parser as fact, value and remedy, in the words of the command line."""
    if found := WRONG_VALUE.fullmatch(message):
        kinds = [WORDS.get(name) or _choice(choices) for name, choices in KIND.findall(found["kinds"])]
        return f"--{found['key']} is {found['value']!r}: write {' or '.join(dict.fromkeys(kinds)) or help_}"
    if found := WRONG_NAME.fullmatch(message):
        name = found["flag"] or ".".join(filter(None, (found["group"], found["name"])))
        near = difflib.get_close_matches(name, flags, 1)
        return f"there is no flag --{name}: " + (f"did you mean --{near[0]}?" if near else help_)
    if found := NO_FLAG.fullmatch(message):
        return f"{found['word']!r} belongs to no flag: write a glob in quotes, and a list as {WORDS['list']}"
    if found := MISSING.fullmatch(message):
        names = [f"--{name}" if name in flags else name.upper() for name in found["names"].split(", ")]
        return f"{', '.join(names)} is missing: {help_}"
    if message.startswith("Problems parsing config: "):
        return f"this is no YAML: {message.partition(': ')[2]}".replace('in "<unicode string>", ', "at ")
    return f"{message}: {help_}"


def _choice(choices: str) -> str:
    return ("one of " if "," in choices else "") + choices.replace("'", "")
