"""The S3 server that other tests trust: it checks signatures and conditions."""

from __future__ import annotations

import os

import pytest
import s3fs

from tests.servers import S3Server, free_ports


def test_only_who_asks_for_it_is_told_of_the_server(s3_server: S3Server, request: pytest.FixtureRequest) -> None:
    assert [name for name in os.environ if name.startswith("AWS_")] == []
    request.getfixturevalue("s3")
    assert os.environ["AWS_ENDPOINT_URL_S3"] == s3_server.endpoint


def test_buckets_are_fresh(s3: S3Server) -> None:
    one, two = s3.bucket(), s3.bucket()
    s3.client().pipe_file(f"{one}/a", b"1")
    assert (s3.keys(one), s3.keys(two)) == (["a"], [])


def test_a_wrong_secret_is_refused(s3: S3Server) -> None:
    stranger = s3fs.S3FileSystem(endpoint_url=s3.endpoint, key=s3.access_key, secret="wrong", skip_instance_cache=True)
    with pytest.raises(PermissionError):
        stranger.call_s3("list_objects_v2", Bucket=s3.bucket())


def test_conditions_are_kept(s3: S3Server) -> None:
    client, bucket = s3.client(), s3.bucket()
    client.call_s3("put_object", Bucket=bucket, Key="a", Body=b"1", IfNoneMatch="*")
    with pytest.raises(OSError, match="pre-conditions"):
        client.call_s3("put_object", Bucket=bucket, Key="a", Body=b"2", IfNoneMatch="*")


def test_a_bucket_is_not_made_by_a_put(s3: S3Server) -> None:
    with pytest.raises(FileNotFoundError):
        s3.client().call_s3("put_object", Bucket="never-made-before", Key="a", Body=b"1")


def test_ports_differ() -> None:
    assert len(set(free_ports(20))) == 20
