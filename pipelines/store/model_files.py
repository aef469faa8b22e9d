"""Which files of a folder make up a model: what is loaded from it, nothing else, and the hash over that.

A README, another framework's weights or an export beside them do not count, so they neither change a model's hash nor
are they fetched. Code counts only where it may run (``trust_remote_code``).
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from pipelines.errors import SpecError

# As transformers looks for them, one folder at a time: the first that is there is loaded.
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
MODULES = "modules.json"
SETTINGS = frozenset(
    [
        "config.json",
        "config_sentence_transformers.json",
        "modules.json",
        "router_config.json",
        *(f"sentence_{kind}_config.json" for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlnet")),
        "added_tokens.json",
        "dict.txt",
        "entity_vocab.json",
        "merges.txt",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.bpe",
        "vocab.json",
        "vocab.txt",
        "word_pronunciation.json",
        "word_shape.json",
    ]
)
TOKENIZER_SUFFIXES = (".model", ".codes", ".tiktoken")
VOCABULARIES = frozenset(["tokenizer.json", "vocab.txt", "vocab.json", "vocab.bpe", "merges.txt", "dict.txt"])
TOKENIZER_SETTINGS = frozenset(
    [*VOCABULARIES, "modules.json", "added_tokens.json", "special_tokens_map.json", "tokenizer_config.json"]
)
What = Literal["model", "tokenizer"]
"""What is wanted of a folder."""


class Folder(Protocol):
    """A folder of files, wherever it is. Names are relative to it, with slashes."""

    def names(self, folder: str) -> Iterable[str]:
        """Names of the files directly in a folder inside; "" is the folder itself. None where it does not exist."""

    def read(self, name: str) -> bytes:
        """Content of a small file."""

    def __str__(self) -> str:
        """What a message calls it."""


class LocalFolder:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self, folder: str) -> list[str]:
        """See ``Folder``."""
        inside = self._path / folder
        if not inside.is_dir():
            return []
        return [posixpath.join(folder, entry.name) for entry in inside.iterdir() if entry.is_file()]

    def read(self, name: str) -> bytes:
        """See ``Folder``."""
        return (self._path / name).read_bytes()

    def __str__(self) -> str:
        return str(self._path)


def loaded_files(folder: Folder, *, code: bool = False, what: What = "model") -> list[str]:
    """Names of the files that loading the model, or its tokenizer alone, reads, sorted.

    These are the settings, the tokenizer and the weights of the folder and of each module that its modules.json names;
    with ``code`` their Python files too. Safetensors are preferred; .bin counts only where there are none. Raises
    SpecError where there are no weights, where some of them are missing, and where modules.json can't be read.
    """
    if what == "tokenizer":
        return _tokenizer_files(folder)
    files: set[str] = set()
    weights: set[str] = set()
    for inside in ("", *_module_folders(folder)):
        names = set(folder.names(inside))
        files |= {name for name in names if _is_setting(name) or (code and name.endswith(".py"))}
        weights |= _weights(folder, inside, names)
    if not weights:
        raise SpecError(f"{folder} holds no model weights: it has none of {', '.join(WEIGHTS)}; name a model's folder")
    return sorted(files | weights)


def _tokenizer_files(folder: Folder) -> list[str]:
    """The tokenizer's own files; beside older ones the config too, which tells what kind of tokenizer they are of."""
    files: set[str] = set()
    vocabularies: set[str] = set()
    for inside in ("", *_module_folders(folder)):
        bases = {posixpath.basename(name): name for name in folder.names(inside)}
        found = {name for base, name in bases.items() if base in VOCABULARIES or base.endswith(TOKENIZER_SUFFIXES)}
        files |= {name for base, name in bases.items() if base in TOKENIZER_SETTINGS or _is_sentence_config(base)}
        files |= {bases["config.json"]} if found and "config.json" in bases and "tokenizer.json" not in bases else set()
        vocabularies |= found
    if not vocabularies:
        raise SpecError(f"{folder} holds no tokenizer: it has none of tokenizer.json, vocab.txt, ...; name another")
    return sorted(files | vocabularies)


def _is_sentence_config(base: str) -> bool:
    """Whether a file may say that text is put into lower case first."""
    return base in SETTINGS and base.startswith("sentence_")


def model_hash(digests: Mapping[str, str]) -> str:
    """Hash of a model: SHA-256 over the sorted lines of (name, SHA-256 of the content) of the files loaded."""
    lines = (f"{name}\0{digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _is_setting(name: str) -> bool:
    base = posixpath.basename(name)
    return base in SETTINGS or base.endswith(TOKENIZER_SUFFIXES)


def _module_folders(folder: Folder) -> list[str]:
    if MODULES not in folder.names(""):
        return []
    modules = _parsed(folder, MODULES)
    try:
        paths = [str(module["path"]).rstrip("/") for module in modules]
    except (KeyError, TypeError):
        raise SpecError(f"{folder}/{MODULES} is no list of modules with a path each: fetch the model again") from None
    return [_inside(folder, path) for path in paths if path]


def _weights(folder: Folder, inside: str, names: set[str]) -> set[str]:
    """The weights in one folder: one file, or an index and the files it names. Empty where there are none."""
    first = next((name for base in WEIGHTS if (name := posixpath.join(inside, base)) in names), None)
    if first is None:
        return set()
    if not first.endswith(".index.json"):
        return {first}
    index = _parsed(folder, first)
    try:
        shards = {_inside(folder, posixpath.join(inside, shard)) for shard in index["weight_map"].values()}
    except (KeyError, TypeError, AttributeError):
        raise SpecError(f"{folder}/{first} has no weight_map: fetch the model again") from None
    if missing := sorted(shards - names):
        raise SpecError(
            f"{folder} lacks {len(missing)} of the {len(shards)} weight files that {first} names, "
            f"such as {missing[0]}: fetch the model again"
        )
    return {first, *shards}


def _parsed(folder: Folder, name: str) -> Any:
    try:
        return json.loads(folder.read(name))
    except ValueError as error:
        raise SpecError(f"{folder}/{name} is no JSON ({error}): fetch the model again") from None


def _inside(folder: Folder, path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise SpecError(f"{folder} names {path!r} as a part of itself, which is outside: do not use this model")
    return posixpath.normpath(path)
