"""Specs are refused at birth in one line, and their fingerprint follows what decides the result."""

import pytest

from pipelines.errors import SpecError
from pipelines.spec import (
    Calibration,
    EmbedSpec,
    EncodePool,
    Slicing,
    Storage,
    TokenizePool,
)

WRONG = [
    (EmbedSpec, {"model": ""}, "model is ''"),
    (EmbedSpec, {"text": []}, "text is []"),
    (EmbedSpec, {"id": ""}, "id is ''"),
    (EmbedSpec, {"max_seqlen": 2}, "max_seqlen is 2"),
    (EmbedSpec, {"max_seqlen": True}, "max_seqlen is True"),
    (EmbedSpec, {"dim": 0}, "dim is 0"),
    (EmbedSpec, {"stride": 5}, "set overlong to chunk"),
    (EmbedSpec, {"stride": 62, "overlong": "chunk", "max_seqlen": 64}, "less than max_seqlen"),
    (EmbedSpec, {"pooling": "median"}, "cls, mean"),
    (EmbedSpec, {"pooling": "mean+median"}, "cls, mean"),
    (EmbedSpec, {"passthrough": ["a", "a"]}, "each column once"),
    (EmbedSpec, {"passthrough": ["id"]}, "carried anyway"),
    (EmbedSpec, {"passthrough": ["embedding"]}, "columns of the output"),
    (
        EmbedSpec,
        {"dim": 60, "output_dtype": "binary"},
        "dim is 60: binary packs eight numbers a byte: write a multiple of 8, such as 56",
    ),
    (EmbedSpec, {"dim": 4, "output_dtype": "binary"}, "such as 8"),
    (Calibration, {"num_documents": 1}, "num_documents is 1"),
    (Calibration, {"seed": -1}, "seed is -1"),
    (Calibration, {"quantile": 1.1}, "quantile is 1.1"),
    (Calibration, {"quantile": 0.4}, "a share from 0.5 to 1"),
    (Slicing, {"max_rows": 0}, "max_rows is 0"),
    (TokenizePool, {"max_actors": 0}, "max_actors is 0"),
    (EncodePool, {"num_gpus": -1.0}, "num_gpus is -1.0"),
    (EncodePool, {"device": "cuda", "num_gpus": 0}, "set num_gpus"),
]


@pytest.mark.parametrize(("kind", "fields", "words"), WRONG)
def test_refused_at_birth_with_field_value_and_remedy(kind, fields, words):
    values = ({"model": "m"} if kind is EmbedSpec else {}) | fields
    with pytest.raises(SpecError) as caught:
        kind(**values)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("dtype", "num_bytes"), [("float32", 1536), ("float16", 768), ("int8", 384), ("binary", 48)])
def test_bytes_of_a_vector(dtype, num_bytes):
    assert EmbedSpec(model="m", dim=384, output_dtype=dtype).output_bytes(768) == num_bytes


def test_text_columns_are_a_list():
    assert EmbedSpec(model="m").texts == ["text"]
    assert EmbedSpec(model="m", text=["title", "body"]).texts == ["title", "body"]


def test_storage_takes_the_environment_where_it_says_nothing_itself():
    environment = {"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_S3": "http://b", "AWS_DEFAULT_REGION": "c",
                   "AWS_PROFILE": "d", "AWS_SECRET_ACCESS_KEY": "e"}  # fmt: skip
    assert Storage().settled(environment) == Storage(endpoint="http://b", region="c")
    assert Storage(endpoint="http://f", region="g").settled(environment) == Storage(endpoint="http://f", region="g")
    assert Storage(profile="h").settled({"AWS_REGION": "i"}) == Storage(region="i", profile="h")
    assert Storage().settled({}) == Storage()
