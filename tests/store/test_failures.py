"""One clause for what went wrong, whoever reported it."""

from __future__ import annotations

import errno

import pyarrow as pa
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from pipelines.store.failures import causes, code_of, explain, is_outside, is_parquet


def refusal(code: str, status: int = 403) -> OSError:
    """An error as s3fs raises it: an OSError, caused by botocore's."""
    answer = {"Error": {"Code": code, "Message": "word by word"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error = OSError(errno.EINVAL, "word by word")
    error.__cause__ = ClientError(answer, "PutObject")
    return error


def test_the_code_is_found_under_the_surface() -> None:
    assert code_of(refusal("PreconditionFailed", 412)) == "PreconditionFailed"
    assert code_of(OSError("no server spoke")) == ""


def test_a_status_stands_in_for_a_code() -> None:
    error = OSError("?")
    error.__cause__ = ClientError({"Error": {}, "ResponseMetadata": {"HTTPStatusCode": 412}}, "PutObject")
    assert code_of(error) == "412"


@pytest.mark.parametrize(
    ("error", "clause"),
    [
        (refusal("SignatureDoesNotMatch"), "the secret key does not fit the access key"),
        (refusal("NoSuchBucket", 404), "there is no such bucket"),
        (refusal("403"), "access is denied"),
        (refusal("SlowDown", 503), "fewer requests"),
        (refusal("Strange"), "Strange: [Errno 22] word by word"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (PermissionError(errno.EACCES, "no"), "this user may not"),
        (FileNotFoundError("x"), "there is nothing there: check the path"),
        (EndpointConnectionError(endpoint_url="http://x"), "the server can't be reached"),
        (NoCredentialsError(), "no credentials were found"),
        (OSError("first line\nsecond line"), "OSError: first line"),
        (ValueError("x" * 1000), f"ValueError: {'x' * 200}"),
    ],
)
def test_explanations(error: Exception, clause: str) -> None:
    assert explain(error).startswith(clause) or clause in explain(error)
    assert "\n" not in explain(error)
    assert len(explain(error)) < 250


def test_causes_that_go_in_circles_end() -> None:
    one, two = ValueError("1"), ValueError("2")
    one.__cause__, two.__cause__ = two, one
    assert list(causes(one)) == [one, two]


def test_a_cause_that_was_left_out_is_none() -> None:
    error = FileNotFoundError("x")
    error.__context__, error.__suppress_context__ = refusal("404"), True
    assert list(causes(error)) == [error]


def test_the_world_and_our_own_mistakes() -> None:
    outside = [OSError(), NoCredentialsError(), pa.ArrowInvalid("x"), TimeoutError()]
    assert all(map(is_outside, outside))
    assert not any(map(is_outside, [TypeError(), AssertionError(), KeyError()]))


def test_a_broken_file_and_a_broken_network() -> None:
    assert is_parquet(pa.ArrowInvalid("Parquet magic bytes not found in footer"))
    assert is_parquet(OSError("Couldn't deserialize thrift: TProtocolException: Invalid data"))
    assert is_parquet(OSError("Corrupt snappy compressed data."))
    assert not is_parquet(OSError("When reading 'x': AWS Error NETWORK_CONNECTION during GetObject operation"))
    assert not is_parquet(OSError(errno.EIO, "Input/output error"))
    assert not is_parquet(refusal("SlowDown"))
    assert not is_parquet(TimeoutError("slow"))
