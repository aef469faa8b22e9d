"""Ray Data as a run needs it, and what is shown while a cluster grows."""

from __future__ import annotations

import re
import threading
from dataclasses import replace

import pytest
from ray.data import DataContext

from pipelines.run.cluster import ClusterResources, Node
from pipelines.run.streaming import RETRIED_ERRORS, own_settings, set_streaming, shown_while_waiting
from tests.tiny import FLAT

HERE = ClusterResources(nodes=(Node(cpus=4),))


def test_a_block_is_a_slice_and_read_ahead_is_bounded(data_context: DataContext) -> None:
    guard = data_context.execution_no_progress_timeout_s
    set_streaming(123, HERE)
    set_streaming(456, HERE)
    assert data_context.target_max_block_size == 1
    assert data_context.max_errored_blocks == 0
    assert data_context.execution_options.resource_limits.object_store_memory == 456
    assert data_context.execution_no_progress_timeout_s == guard > 0
    assert len(data_context.retried_io_errors) == len(set(data_context.retried_io_errors))


def test_other_datasets_of_the_process_are_left_alone(data_context: DataContext) -> None:
    usual = data_context.target_max_block_size
    with own_settings():
        set_streaming(123, HERE)
        assert DataContext.get_current().target_max_block_size == 1
    assert DataContext.get_current() is data_context
    assert data_context.target_max_block_size == usual > 1
    assert data_context.execution_options.resource_limits.object_store_memory == float("inf")


def test_stages_keep_to_the_nodes_that_the_placement_was_made_for(data_context: DataContext) -> None:
    mixed = replace(HERE, nodes=(Node(cpus=4), Node(cpus=8, pool="train")))
    set_streaming(1, mixed.beside_training)
    assert data_context.execution_options.label_selector == {"manta-pool": "!train"}
    set_streaming(1, HERE.beside_training)
    assert data_context.execution_options.label_selector is None


def test_a_cluster_that_may_grow_is_waited_for_without_a_guard(data_context: DataContext) -> None:
    set_streaming(1, replace(HERE, is_autoscaled=True))
    assert data_context.execution_no_progress_timeout_s == -1


@pytest.mark.parametrize(
    "words",
    [
        "An error occurred (SlowDown) when calling the PutObject operation (reached max retries: 4)",
        "Please reduce your request rate.",
        'Could not connect to the endpoint URL: "http://x": EndpointConnectionError',
        "ReadTimeoutError: Read timeout on endpoint URL",
    ],
)
def test_passing_faults_of_s3_are_known_by_their_words(words: str) -> None:
    assert any(re.search(pattern, words) for pattern in RETRIED_ERRORS)


def test_what_is_waited_for_is_shown_until_it_arrives(ray_session: None) -> None:
    needy = replace(FLAT, encode_gpus=1.0, waits_for="a node with 1 GPU")
    said: list[str] = []
    spoken, arrived = threading.Event(), threading.Event()

    def show(text: str) -> None:
        said.append(text)
        spoken.set()

    with shown_while_waiting(needy, show, arrived, interval_seconds=0.01):
        assert spoken.wait(60)
        arrived.set()
    assert said[0] == "a node with 1 GPU"
    count = len(said)
    with shown_while_waiting(needy, show, arrived, interval_seconds=0.01):
        pass
    assert len(said) <= count + 1


def test_nothing_is_asked_where_nothing_is_waited_for() -> None:
    before = threading.active_count()
    with shown_while_waiting(FLAT, pytest.fail, threading.Event(), interval_seconds=0.0):
        assert threading.active_count() == before
