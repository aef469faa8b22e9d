"""Objects on S3 and on servers that speak its language: one put, or a multipart upload that is aborted when it fails.

Never an output stream: an exception inside ``with open_output_stream(...)`` completes the upload with what was written
so far. s3fs lists, reads small files and writes; pyarrow reads in bulk, told the same endpoint, region and credentials.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow.fs
import s3fs
from fsspec.asyn import sync

from pipelines.errors import SpecError, StoreError
from pipelines.spec import Storage
from pipelines.store.entry import Conflict, Entry
from pipelines.store.failures import BY_CLASS, code_of

PART_BYTES = 50 * 2**20
"""Bytes of a part of a multipart upload; what is smaller than two of them is one put."""

MOST_KEYS = 1000
"""Most keys of a page of a listing, and of a bulk removal."""

REFUSED = frozenset(("PreconditionFailed", "412"))
BUSY = frozenset(("ConditionalRequestConflict", "OperationAborted", "409"))
"""Codes of a conditional put that met another one under way: to be tried again."""


class S3:
    """The store behind s3:// (``pipelines.store.entry.Store``)."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def entries(self, root: str, prefix: str) -> Iterator[Entry]:
        """Every object under the root whose key begins with the prefix, page by page, in order of the keys."""
        bucket, folder = _split(root, folder=True)
        for item in self._pages(bucket, folder + prefix):
            key = item["Key"]
            if not key.endswith("/"):  # what some tools put to show a folder
                yield Entry(key[len(folder) :], item["Size"], _version(item), item["LastModified"].timestamp())

    def stat(self, path: str) -> Entry | None:
        """The object at this path, or None."""
        bucket, key = _split(path)
        if not key:
            return None
        try:
            facts = self._call("head_object", Bucket=bucket, Key=key)
        except FileNotFoundError:
            return None
        return Entry(key.rpartition("/")[2], facts["ContentLength"], _version(facts))

    def read(self, path: str) -> tuple[bytes, str]:
        """Bytes and version, of one answer."""
        bucket, key = _split(path)
        fs = self.filesystem()
        data, facts = sync(fs.loop, _get, fs, bucket, key)
        return data, _version(facts)

    def put(self, root: str, key: str, data: bytes) -> Entry:
        """One put, or of large data a multipart upload, aborted if it fails."""
        facts = self.filesystem().pipe_file(f"{root}/{key}", data, chunksize=PART_BYTES, max_concurrency=4)
        if facts is None:  # a multipart upload
            return self._there(root, key)
        return Entry(key, len(data), _version(facts))

    def put_written(self, root: str, key: str, write: Callable[[Path], None]) -> Entry:
        """Have it written in this machine's folder for temporary files, and put it: a few parts in memory at a time."""
        with tempfile.TemporaryDirectory(prefix="manta-") as folder:
            path = Path(folder, "file")
            write(path)
            self.filesystem().put_file(str(path), f"{root}/{key}", chunksize=PART_BYTES, max_concurrency=4)
        return self._there(root, key)

    def _there(self, root: str, key: str) -> Entry:
        there = self.stat(f"{root}/{key}")
        if there is None:
            raise FileNotFoundError(f"{root}/{key} is gone right after it was put")
        return Entry(key, there.size, there.version)

    def put_if(self, root: str, key: str, data: bytes, version: str | None) -> str:
        """One put with If-None-Match or If-Match. Who is refused reads back: a put that was retried may have won."""
        condition = {"IfNoneMatch": "*"} if version is None else {"IfMatch": f'"{version}"'}
        bucket, path = _split(f"{root}/{key}")
        for pause in (0.2, 0.5, 1.0, 0.0):
            try:
                return _version(self._call("put_object", Bucket=bucket, Key=path, Body=data, **condition))
            except OSError as error:
                code = code_of(error)
                if code in BUSY and pause:
                    time.sleep(pause)
                    continue
                if code not in REFUSED | BUSY and not (version and code == "NoSuchKey"):
                    raise
                return self._won(f"{root}/{key}", data, error)
        raise AssertionError("unreachable")

    def _won(self, path: str, data: bytes, refusal: OSError) -> str:
        try:
            there, version = self.read(path)
        except FileNotFoundError:
            raise Conflict(f"{path} is not there any more") from refusal
        if there != data:
            raise Conflict(f"{path} was written by somebody else, its version is {version}") from refusal
        return version

    def remove(self, root: str, keys: Iterable[str]) -> None:
        """Remove the objects that are there, a thousand a request."""
        bucket, folder = _split(root, folder=True)
        rest = iter(keys)
        while some := list(islice(rest, MOST_KEYS)):
            wanted = {"Objects": [{"Key": folder + key} for key in some], "Quiet": True}
            failed = self._call("delete_objects", Bucket=bucket, Delete=wanted).get("Errors", [])
            if failed:
                raise OSError(f"{failed[0].get('Key')} could not be removed: {failed[0].get('Code')}")

    def sweep(self, root: str, min_age_seconds: float) -> None:
        """Abort the multipart uploads under the root that a killed process left unfinished."""
        bucket, folder = _split(root, folder=True)
        latest = datetime.now(UTC) - timedelta(seconds=min_age_seconds)
        found = self._call("list_multipart_uploads", Bucket=bucket, Prefix=folder).get("Uploads", [])
        for upload in found:
            if upload["Initiated"] < latest:
                names = {"Key": upload["Key"], "UploadId": upload["UploadId"]}
                self._call("abort_multipart_upload", Bucket=bucket, **names)

    def check(self, path: str) -> None:
        """FileNotFoundError, PermissionError or what else is wrong, within seconds."""
        bucket, folder = _split(path, folder=True)
        call = _client(self._storage, True, _environment()).call_s3
        found = call("list_objects_v2", Bucket=bucket, Prefix=folder, MaxKeys=1)
        if not folder or found.get("Contents"):
            return
        try:
            call("head_object", Bucket=bucket, Key=folder.rstrip("/"))
        except FileNotFoundError:
            raise FileNotFoundError(path) from None  # no word of the server's: the bucket is there, the path is not

    def filesystem(self) -> Any:
        """s3fs, one a process."""
        return _client(self._storage, False, _environment())

    def arrow(self, path: str) -> tuple[Any, str]:
        """pyarrow's S3 file system; asked again for each file, so that credentials which expire are fresh."""
        fs = self.filesystem()
        meta = fs.s3.meta
        found = sync(fs.loop, _credentials, fs)
        return _arrow(meta.endpoint_url, meta.region_name, found, os.environ.get("AWS_CA_BUNDLE", "")), path

    def _pages(self, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=MOST_KEYS, **more)
            yield from page.get("Contents", [])
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        return self.filesystem().call_s3(method, **arguments)


def _split(path: str, folder: bool = False) -> tuple[str, str]:
    """Bucket and key; the key of a folder ends in "/", that of a bucket is ""."""
    bucket, _, key = path.partition("/")
    return bucket, f"{key}/" if folder and key else key


def _version(facts: dict[str, Any]) -> str:
    return str(facts["ETag"]).strip('"')


async def _get(fs: Any, bucket: str, key: str) -> tuple[bytes, dict[str, Any]]:
    facts = await fs._call_s3("get_object", Bucket=bucket, Key=key)
    async with facts["Body"] as body:
        return await body.read(), facts


async def _credentials(fs: Any) -> tuple[str, str, str | None]:
    found = await fs.session.get_credentials()
    if found is None:
        raise StoreError(f"s3://: {BY_CLASS['NoCredentialsError']}")
    frozen = await found.get_frozen_credentials()
    return frozen.access_key, frozen.secret_key, frozen.token


def _environment() -> tuple[tuple[str, str], ...]:
    """What botocore reads: a client made under other settings, or before a fork, is not used again."""
    settings = ((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))
    return (*sorted(settings), ("process", str(os.getpid())))


@lru_cache(maxsize=16)
def _client(storage: Storage, brief: bool, environment: tuple[tuple[str, str], ...]) -> Any:
    """s3fs as Storage and environment say. ``brief`` gives up within seconds: for a check before the run."""
    settings = dict(environment)
    region = storage.region or settings.get("AWS_REGION")  # which botocore alone would not read
    for url in (storage.endpoint, settings.get("AWS_ENDPOINT_URL_S3"), settings.get("AWS_ENDPOINT_URL")):
        _check_endpoint(url or "")
    attempts = int(settings.get("AWS_MAX_ATTEMPTS", 6))
    fs = s3fs.S3FileSystem(
        endpoint_url=storage.endpoint or None,
        client_kwargs={"region_name": region} if region else {},
        config_kwargs={
            "connect_timeout": 3 if brief else 5,
            "read_timeout": 10 if brief else 60,
            "retries": {"mode": "standard", "total_max_attempts": 2 if brief else attempts},
            "max_pool_connections": 64,
        },
        use_listings_cache=False,
        skip_instance_cache=True,
        **({"profile": storage.profile} if storage.profile else {}),
    )
    fs.retries = 1 if brief else 2  # on top of botocore's own
    return fs


def _check_endpoint(url: str) -> None:
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise SpecError(f"the S3 endpoint is {url!r}: write http://HOST:PORT or https://HOST")
    if parts.username or parts.password:
        raise SpecError("the S3 endpoint carries a password: leave it out, and set AWS_ACCESS_KEY_ID and its secret")


@lru_cache(maxsize=16)
def _arrow(endpoint: str, region: str, credentials: tuple[str, str, str | None], certificates: str) -> Any:
    parts = urlsplit(endpoint)
    own = not (parts.hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))
    access_key, secret_key, token = credentials
    return pyarrow.fs.S3FileSystem(
        access_key=access_key,
        secret_key=secret_key,
        session_token=token,
        region=None if region == "aws-global" else region,
        scheme=parts.scheme,
        endpoint_override=parts.netloc if own else None,
        connect_timeout=5,
        request_timeout=60,
        retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=6),
        **({"tls_ca_file_path": certificates} if certificates else {}),
    )
