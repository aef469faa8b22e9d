"""What went wrong outside, in one line of ours: no stack of foreign exceptions, no secrets."""

from __future__ import annotations

import errno
from collections.abc import Iterator

CREDENTIALS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile"

BY_CODE = {
    "InvalidAccessKeyId": f"the server does not know the access key: {CREDENTIALS}",
    "SignatureDoesNotMatch": f"the secret key does not fit the access key: {CREDENTIALS}",
    "ExpiredToken": "the session token has expired: log in again",
    "InvalidToken": "the session token is not valid: log in again",
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it",
    "AccessDenied": f"access is denied: {CREDENTIALS}, and what its policy allows",
    "NoSuchBucket": "there is no such bucket: check its name, and the endpoint",
    "InvalidBucketName": "this is no name of a bucket: write s3://BUCKET/PATH",
    "PermanentRedirect": "the bucket is in another region: set storage.region or AWS_REGION",
    "AuthorizationHeaderMalformed": "the bucket is in another region: set storage.region or AWS_REGION",
    "SlowDown": "the server asks for fewer requests: run again later, or with fewer actors",
}
BY_CODE |= dict.fromkeys(("404", "NoSuchKey"), "there is nothing there: check the path")
BY_CODE |= {"403": BY_CODE["AccessDenied"], "301": BY_CODE["PermanentRedirect"]}
BY_CODE["503"] = BY_CODE["SlowDown"]

BY_CLASS = {
    "NoCredentialsError": "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile",
    "PartialCredentialsError": f"the credentials are incomplete: {CREDENTIALS}",
    "CredentialRetrievalError": f"the credentials could not be fetched: {CREDENTIALS}",
    "UnauthorizedSSOTokenError": "the login has expired: log in again",
    "SSOTokenLoadError": "there is no login yet: log in first",
    "ProfileNotFound": "there is no such profile in ~/.aws: check storage.profile and AWS_PROFILE",
    "EndpointConnectionError": "the server can't be reached: check the endpoint and the network",
    "ConnectTimeoutError": "the server does not answer: check the endpoint and the network",
    "ReadTimeoutError": "the server answers too slowly: run again later",
    "ConnectionClosedError": "the server broke off the connection: run again later",
    "InvalidEndpointError": "the endpoint is no URL: write http://HOST:PORT or https://HOST",
}

BY_ERRNO = {
    errno.ENOENT: BY_CODE["404"],
    errno.EACCES: "this user may not: change its permissions",
    errno.EPERM: "this user may not: change its permissions",
    errno.ENOSPC: "the disk is full: make room and run again",
    errno.EDQUOT: "the quota of the disk is used up: make room and run again",
    errno.EFBIG: "the file would be larger than allowed here: raise the limit",
    errno.EROFS: "the disk is read-only",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "it is a folder, not a file",
}

OUTSIDE = frozenset(("botocore", "aiobotocore", "aiohttp", "pyarrow", "gcsfs", "adlfs", "huggingface_hub", "requests"))
"""Packages whose exceptions speak of the world outside."""


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what caused it, outermost first."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def code_of(error: BaseException) -> str:
    """The S3 server's word for what went wrong, such as "NoSuchBucket", or its status; "" if no server spoke."""
    for cause in causes(error):
        response = getattr(cause, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
            return str(response.get("Error", {}).get("Code") or status)
    return ""


def explain(error: BaseException) -> str:
    """One clause: what went wrong and what to do."""
    code = code_of(error)
    if code in BY_CODE:
        return BY_CODE[code]
    for cause in causes(error):
        known = BY_CLASS.get(type(cause).__name__) or BY_ERRNO.get(getattr(cause, "errno", None) or 0)
        if known and not (code and isinstance(cause, OSError)):
            return known
    if isinstance(error, FileNotFoundError):
        return BY_CODE["404"]
    return _first_line(error, code)


def _first_line(error: BaseException, code: str) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{code or type(error).__name__}: {lines[0][:200]}"


def is_outside(error: BaseException) -> bool:
    """Whether the world failed, and not our own code."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in OUTSIDE


def is_parquet(error: BaseException) -> bool:
    """Whether a file's own bytes are wrong: pyarrow says so by ArrowInvalid, or by an OSError without a number."""
    if type(error).__name__ in ("ArrowInvalid", "ArrowNotImplementedError", "ArrowTypeError", "ArrowKeyError"):
        return True
    plain = type(error) is OSError and error.errno is None and error.__cause__ is None
    return plain and not any(word in str(error) for word in ("AWS Error", "curl", "Connection", "timed out"))
