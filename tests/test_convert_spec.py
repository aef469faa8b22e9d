"""What decides a conversion: refused at birth in one line."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.convert_spec import ConvertSpec
from pipelines.errors import SpecError
from pipelines.fingerprint import fingerprint


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"id": ""}, "ConvertSpec.id is '': name a column"),
        ({"text": "", "ids": "hash"}, "ids is 'hash': a hash needs the text column"),
        ({"text": "id"}, "id is 'id': name another column than the text's"),
        ({"types": {"n": "int"}}, "types is {'n': 'int'}: write one of string, int64, float64, bool for 'n'"),
        ({"delimiter": ";;"}, "delimiter is ';;': write one character"),
        ({"delimiter": '"'}, "no quote"),
        ({"shard_rows": 0}, "shard_rows is 0: write a number of at least 1"),
        ({"shard_bytes": -1}, "shard_bytes is -1"),
        ({"max_document_bytes": 0}, "max_document_bytes is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        ConvertSpec(**fields)


def test_every_field_decides_the_shards() -> None:
    others = [{"text": "body"}, {"ids": "line"}, {"types": {"n": "bool"}}, {"documents": "files"}, {"shard_rows": 7}]
    assert len({fingerprint(ConvertSpec(**fields), "") for fields in [{}, *others]}) == 6
