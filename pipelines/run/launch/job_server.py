"""The way to a cluster's job server: its address, its token, its version of Ray; and the submission of a job."""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import ray
from ray.dashboard.utils import get_address_for_submission_client
from ray.exceptions import AuthenticationError, RayError
from ray.job_submission import JobSubmissionClient

from pipelines.errors import SpecError
from pipelines.run.launch.submission import Submission

ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
"""Variables that name a cluster. Ray itself lets them win over what it is told."""
PORTS = {"http": 80, "https": 443}
PATIENCE_SECONDS = 10
TALKERS = ("ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk", "ray._private.runtime_env")


def connect(address: str = "") -> JobSubmissionClient:
    """A client of the job server at this address; "": at the one that the environment names.

    SpecError where no address is known, nobody answers there, the token is refused, or another version of Ray runs.
    """
    for name in TALKERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    url = find_address(address)
    _knock(url)
    try:
        with _without_addresses():
            client = JobSubmissionClient(url)
    except AuthenticationError as error:
        raise SpecError(_refused(url, error)) from error
    except (OSError, RuntimeError, ValueError, KeyError) as error:  # requests' own are OSErrors
        raise SpecError(
            f"what answers at {url} is no dashboard of Ray ({_fact(error)}): name the head's, http://HEAD:8265"
        ) from error
    theirs = client._server_ray_version
    if theirs != ray.__version__:
        raise SpecError(
            f"the cluster at {url} runs Ray {theirs}, and this is Ray {ray.__version__}: launch from an environment "
            f"with ray=={theirs}, or give the cluster an image with {ray.__version__}"
        )
    return client


def find_address(address: str = "") -> str:
    """The URL of a dashboard, as it is given or as the environment has it. SpecError where there is none."""
    known = {"--address": address, **{name: os.environ.get(name, "") for name in ADDRESSES}}
    told, url = next(((f"{name} {value}", value) for name, value in known.items() if value), ("", ""))
    if not url:
        raise SpecError(f"no cluster is named: give --address http://HEAD:8265, or set {ADDRESSES[0]}")
    if re.fullmatch(r"[\w.-]+:\d+", url):
        return _asked(told, url)
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise SpecError(f"{told} is no address of a dashboard: write --address http://HEAD:8265")
    return url.rstrip("/")


def _asked(told: str, address: str) -> str:
    """The dashboard of a cluster that is known by the address that its nodes and drivers use."""
    _knock(f"http://{address}")
    try:
        with _without_addresses():
            return get_address_for_submission_client(address)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        raise SpecError(
            f"{told} tells no dashboard ({_fact(error)}): write --address http://HEAD:8265, and check the token"
        ) from error


def _knock(url: str) -> None:
    """SpecError where nobody listens: Ray's client would wait for minutes where packets are dropped."""
    parts = urlsplit(url)
    try:
        socket.create_connection(
            (parts.hostname or "", parts.port or PORTS[parts.scheme]), timeout=PATIENCE_SECONDS
        ).close()
    except (OSError, ValueError) as error:
        raise SpecError(
            f"nobody answers at {url} ({error}): is the head up, and its dashboard reachable from here? A private one "
            "is reached by ray dashboard CLUSTER.yaml, or kubectl port-forward svc/NAME-head-svc 8265"
        ) from error


def _refused(url: str, error: AuthenticationError) -> str:
    return (
        f"the cluster at {url} lets nobody in without its token ({_fact(error)}): set RAY_AUTH_MODE=token, "
        "and the token by RAY_AUTH_TOKEN, by RAY_AUTH_TOKEN_PATH or in ~/.ray/auth_token"
    )


def _fact(error: BaseException) -> str:
    """What it says first: Ray goes on with advice of its own."""
    return (str(error).splitlines() or [type(error).__name__])[0].split(". ")[0].rstrip(".")


@contextmanager
def _without_addresses() -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in ADDRESSES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def submit(client: JobSubmissionClient, submission: Submission) -> str:
    """Submit a job under the first of its ids that is free; that id.

    SpecError where the cluster takes it under none.
    """
    taken = {job.submission_id for job in client.list_jobs()}
    for name in submission.ids():
        if name in taken:
            continue
        try:
            return client.submit_job(
                entrypoint=submission.entrypoint, submission_id=name, runtime_env=submission.runtime_env
            )
        except RuntimeError as error:
            if "already exists" not in str(error):
                raise SpecError(f"the cluster refuses the job: {_last_line(error)}") from error
    raise AssertionError("ids never end")


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1]
