"""A Ray of this machine with a job server, so that a notebook launches here what it launches on a cluster."""

from __future__ import annotations

from dataclasses import replace

from jobs.entry import RayCluster, be_quiet, ray_is_up, start_ray, stop_ray
from pipelines.run.launch.own_head import address_of_mine, note_address, own_head


def start_head(cluster: RayCluster = RayCluster()) -> str:
    """Start a Ray of this machine alone, which ends with this process or by ``stop_ray``; the address to launch at.

    ``cluster`` tells the number of its CPUs. Its jobs get the Python that runs here. Where this process has joined a
    Ray already, it is that one; SpecError where it has no job server.
    """
    if not ray_is_up():
        be_quiet()  # before Ray is imported
        with own_head(stop_ray):
            start_ray(replace(cluster, address="local", dashboard=True))
            note_address()
    return address_of_mine()
