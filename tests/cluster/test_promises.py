"""What the files of cluster/ promise: pools that jobs find, commands that jobs take, nothing secret, nothing open."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from jobs.embed import embed
from jobs.entry import parse
from jobs.launch import read
from jobs.pretrain import pretrain
from pipelines.errors import LeaseError, ShardError, SpecError
from pipelines.learning_spec import TrainPool
from pipelines.run.chips import PEAK_FLOPS
from pipelines.run.cluster import POOL_LABEL, ClusterResources, Node, config_of_ray_cluster, may_add
from pipelines.run.placement import place
from pipelines.run.sizing import PEAK_SHARE, PROCESS_TOKENS_PER_SECOND, TOKENIZER_TOKENS_PER_SECOND, ModelSize
from pipelines.run.trainings.crew import crew_for
from pipelines.spec import EncodePool, TokenizePool
from tests.cluster.files import (
    LAUNCHER,
    NODEPOOLS,
    RAY,
    YAMLS,
    Document,
    document,
    documents,
    groups,
    locked,
    mappings,
    pod_specs,
    ray_spec,
    texts,
)
from tests.sources import ROOT

CLOUDS = LAUNCHER[:2]
MINILM = ModelSize(num_parameters=10_600_000)
MAYBE_SECRET = re.compile(r"TOKEN$|SECRET|PASSWORD|KEY", re.IGNORECASE)
SECRETS = re.compile(
    r"AKIA[0-9A-Z]{16}|-----BEGIN|password\s*[:=]|[0-9a-f]{32}|(?=\S*\d)[A-Za-z0-9+/]{40}", re.IGNORECASE
)


def pools_of(job: Callable[..., int]) -> set[str]:
    """The pools that a job names: the flags of whose pool settings it takes."""
    kinds = {TokenizePool, EncodePool, TrainPool}
    return {name for name, kind in get_type_hints(job).items() if kind in kinds and name != "return"}


POOLS = pools_of(embed) | pools_of(pretrain)


def autoscaling(name: str) -> Document:
    """What the autoscaler of a cluster makes of a file."""
    if name in RAY:
        resource = {"metadata": {"name": "manta", "namespace": "default"}, "spec": ray_spec(name)}
        return config_of_ray_cluster(resource)
    return document(name)


def from_zero(name: str) -> ClusterResources:
    """The cluster of a file before anybody has asked for a node."""
    config = autoscaling(name)
    return ClusterResources(nodes=(Node(cpus=0),), may_add=may_add(config, []), is_autoscaled=True)


def labels_of_pools(name: str) -> list[str]:
    """The pool of each kind of node that a file has."""
    if name in NODEPOOLS:
        found = [node["labels"] for node, _ in node_pools(name)]
    else:
        kinds = autoscaling(name)["available_node_types"]
        found = [kind.get("labels", {}) for kind in kinds.values()]
    return [labels[POOL_LABEL] for labels in found if POOL_LABEL in labels]


def node_pools(name: str) -> list[tuple[Document, set[tuple[str, str]]]]:
    """The node pools of a file: settings that bear their labels, and taints as (key, value)."""
    if name == "nodepools/eksctl.yaml":
        found = [(group, group.get("taints", [])) for group in document(name)["managedNodeGroups"]]
    else:
        configs = [pool["spec"]["nodeConfig"] for pool in documents(name)]
        found = [(config, config.get("taint", [])) for config in configs]
    return [(settings, {(taint["key"], taint["value"]) for taint in taints}) for settings, taints in found]


def test_jobs_name_three_pools() -> None:
    assert (pools_of(embed), pools_of(pretrain)) == ({"cpu", "gpu"}, {"train"})


@pytest.mark.parametrize("name", [*CLOUDS, "kuberay/raycluster.yaml"])
def test_a_standing_cluster_has_all_pools_from_zero(name: str) -> None:
    assert set(labels_of_pools(name)) == POOLS
    assert [kind.get("min_workers", 0) for kind in autoscaling(name)["available_node_types"].values()].count(0) >= 4
    cluster = from_zero(name)
    placed = place(cluster.beside_training, TokenizePool(), EncodePool(), MINILM)
    assert (placed.waits_for, placed.encode_gpus > 0) == (f"a node with {placed.encode_gpus:g} GPU", True)
    crew = crew_for(TrainPool(workers=16), cluster.for_training)
    assert (crew.num_gpus, crew.label_selector) == (1, {POOL_LABEL: "train"})
    with pytest.raises(SpecError, match="17 workers"):
        crew_for(TrainPool(workers=17), cluster.for_training)


def test_a_jobs_own_cluster_has_the_pools_of_the_job() -> None:
    assert set(labels_of_pools("kuberay/rayjob-embed.yaml")) == pools_of(embed)
    assert set(labels_of_pools("kuberay/rayjob-pretrain.yaml")) == pools_of(pretrain)
    place(from_zero("kuberay/rayjob-embed.yaml").beside_training, TokenizePool(), EncodePool(), MINILM)
    crew_for(TrainPool(workers=16), from_zero("kuberay/rayjob-pretrain.yaml").for_training)


def test_on_machines_of_ones_own_each_says_its_pool() -> None:
    config = document("launcher/onprem.yaml")
    assert f'--labels="{POOL_LABEL}=$(cat /etc/manta/pool)"' in config["worker_start_ray_commands"][-1]
    assert "--volume=/etc/manta:/etc/manta:ro" in config["docker"]["run_options"]
    told = texts()["launcher/onprem.yaml"]
    assert "one word, cpu, gpu or train" in told


@pytest.mark.parametrize("name", RAY)
@pytest.mark.parametrize("pools", NODEPOOLS)
def test_every_group_of_pods_finds_nodes_of_its_own(name: str, pools: str) -> None:
    """By node selector and by what it tolerates, so that no GPU node is kept up by pods without a GPU."""
    head = ray_spec(name)["headGroupSpec"]["template"]["spec"]
    wanted = {"head": head} | {group: found["template"]["spec"] for group, found in groups(name).items()}
    for group, spec in wanted.items():
        selector = spec["nodeSelector"]
        tolerated = {(each["key"], each.get("value")) for each in spec.get("tolerations", [])}
        fit = [node for node, taints in node_pools(pools) if selector.items() <= node["labels"].items()]
        assert fit, group
        assert all(taints <= tolerated for node, taints in node_pools(pools) if node in fit)
        assert selector == {POOL_LABEL: group}
    gpus = {group for group, spec in wanted.items() if "nvidia.com/gpu" in limits(spec)}
    assert gpus == wanted.keys() & {"gpu", "train"}


def limits(spec: Document) -> Document:
    """What the first container of a pod may take: it is told in full, so that it is never evicted for taking more."""
    resources = spec["containers"][0]["resources"]
    assert resources["limits"] == resources["requests"]
    return dict(resources["limits"])


@pytest.mark.parametrize("name", CLOUDS)
def test_spot_comes_first_with_the_same_on_demand_behind_it(name: str) -> None:
    kinds = document(name)["available_node_types"]
    spot = {kind for kind, found in kinds.items() if re.search("'spot'|'SPOT'", str(found["node_config"]))}
    assert spot == {"gpu"}
    behind = kinds["gpu-on-demand"]
    assert kinds["gpu"]["priority"] > behind["priority"]
    assert (kinds["gpu"]["resources"], kinds["gpu"]["labels"]) == (behind["resources"], behind["labels"])


@pytest.mark.parametrize("name", NODEPOOLS)
def test_node_pools_have_spot_beside_on_demand_for_encoders_alone(name: str) -> None:
    found = [(node["labels"], bool(node.get("spot"))) for node, _ in node_pools(name)]
    assert [labels[POOL_LABEL] for labels, spot in found if spot] == ["gpu"]
    assert {labels["manta-capacity"] for labels, _ in found if labels[POOL_LABEL] == "gpu"} == {"spot", "on-demand"}
    told = texts()[name]
    assert ("efaEnabled: true" in told) or ("placementPolicy: {type: COMPACT}" in told)


@pytest.mark.parametrize("name", [*LAUNCHER, *RAY])
def test_heads_have_no_cpus_to_give_and_spill_to_a_disk(name: str) -> None:
    if name in RAY:
        spec = ray_spec(name)
        assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
        assert (spec["enableInTreeAutoscaling"], spec["autoscalerOptions"]["version"]) == (True, "v2")
        found = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
        assert {group["rayStartParams"]["object-spilling-directory"] for group in found} == {"/spill"}
        for pod in (group["template"]["spec"] for group in found):
            assert {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]} == {"/dev/shm", "/spill"}
            assert pod["terminationGracePeriodSeconds"] >= 120
        return
    config = document(name)
    kinds = config.get("available_node_types", {})
    assert "--num-cpus=0" in config["head_start_ray_commands"][-1] or kinds["head"]["resources"] == {"CPU": 0}
    assert config["idle_timeout_minutes"] > 0
    for command in (config["head_start_ray_commands"][-1], config["worker_start_ray_commands"][-1]):
        assert "--object-spilling-directory=/spill" in command


def test_images_are_of_the_lock_s_ray_and_nothing_is_the_latest() -> None:
    told = texts()
    images = [image for text in told.values() for image in re.findall(r"registry\.example\.com/manta:(\S+)", text)]
    assert set(images) == {f"ray{locked('ray')}-cpu", f"ray{locked('ray')}-cuda"}
    named = [value for name in YAMLS for found in documents(name) for value in values(found, "image", "worker_image")]
    assert named
    assert all(value.startswith("registry.example.com/manta:ray") for value in named)
    assert [name for name, text in told.items() if re.search(r":latest\b", text)] == []
    assert {ray_spec(name)["rayVersion"] for name in RAY} == {locked("ray")}


def values(document: Document, *keys: str) -> list[Any]:
    """What stands under such keys, anywhere in a document."""
    return [mapping[key] for _, mapping in mappings(document) for key in keys if key in mapping]


def test_no_secret_stands_in_a_file() -> None:
    assert SECRETS.search("password: x")
    assert SECRETS.search("AKIA" + "A" * 16)
    plain = {name: re.sub(r"https?://\S+", "", text) for name, text in texts().items()}
    assert [(name, found[0]) for name, text in plain.items() if (found := SECRETS.search(text))] == []
    assert "Secret" not in [found.get("kind") for name in YAMLS for found in documents(name)]
    variables = [one for name in YAMLS for found in documents(name) for env in values(found, "env") for one in env]
    assert [one["name"] for one in variables if MAYBE_SECRET.search(one["name"]) and "value" in one] == []
    assert "RAY_AUTH_TOKEN" in [one["name"] for one in variables if "valueFrom" in one]


def test_nobody_joins_without_the_token() -> None:
    for name in LAUNCHER:
        config = document(name)
        assert "--env=RAY_AUTH_MODE=token" in config["docker"]["run_options"]
        assert config["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}
    assert all(ray_spec(name)["authOptions"]["mode"] == "token" for name in RAY)
    told = texts()
    assert re.search(r"^ENV .*RAY_AUTH_MODE=token", told["Dockerfile"], re.MULTILINE)
    assert re.search(r"^export RAY_AUTH_MODE=token", told["local.sh"], re.MULTILINE)
    assert [name for name, text in told.items() if "disabled" in text] == []


def test_ray_tells_nothing_to_anybody() -> None:
    """With its usage statistics off it would still tell that they are off."""
    told = texts()
    start_ray = {*LAUNCHER, *RAY, "Dockerfile", "local.sh"}
    for name in start_ray:
        assert len(re.findall(r"\bRAY_USAGE_STATS_ENABLED(?:=|, value: \")0\b", told[name])) == 1
        assert len(re.findall(r"\bRAY_USAGE_STATS_REPORT_URL(?:=|, value: \")http://127\.0\.0\.1:9/", told[name])) == 1
    assert {name for name, text in told.items() if "RAY_USAGE_STATS" in text} == start_ray


def test_no_port_is_open_to_the_world() -> None:
    everything = "\n".join(texts().values())
    forbidden = (
        r"0\.0\.0\.0|\bLoadBalancer|\bNodePort|\bIngress$|hostNetwork|hostPort|accessConfigs:|IpPermissions|ipBlock"
    )
    assert re.findall(forbidden, everything) == []
    for name in LAUNCHER:
        assert "--dashboard-host=127.0.0.1" in document(name)["head_start_ray_commands"][-1]
    for name in CLOUDS:
        assert document(name)["provider"]["use_internal_ips"] is True
    for kind in document("launcher/aws.yaml")["available_node_types"].values():
        # Without groups of one's own Ray makes one, which lets the world in at port 22.
        machine = kind["node_config"]
        assert machine.get("SecurityGroupIds") or machine["NetworkInterfaces"][0]["Groups"]
    for kind in document("launcher/gcp.yaml")["available_node_types"].values():
        assert kind["node_config"]["networkInterfaces"]
    assert all(node["privateNetworking"] for node, _ in node_pools("nodepools/eksctl.yaml"))
    assert all(pool["spec"]["networkConfig"]["enablePrivateNodes"] for pool in documents("nodepools/gke.yaml"))


def test_every_ray_pod_is_behind_the_network_policy_and_is_nobody() -> None:
    _, policy = documents("kuberay/access.yaml")
    behind = policy["spec"]["podSelector"]["matchLabels"]
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert all(rule["from"] for rule in policy["spec"]["ingress"])  # none that lets in everybody
    for name in RAY:
        spec = ray_spec(name)
        for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
            assert behind.items() <= group["template"]["metadata"]["labels"].items()
    for spec in [spec for name in (*RAY, "kuberay/cronjob-embed.yaml") for spec in pod_specs(name)]:
        assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, 1000)
        assert [each["securityContext"]["allowPrivilegeEscalation"] for each in spec["containers"]] == [False]


def command_of(name: str) -> list[str]:
    """The words of the job that a file runs."""
    if name in RAY:
        return shlex.split(document(name)["spec"]["entrypoint"])
    (container,) = document(name)["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return [*container["command"], *container["args"]]


@pytest.mark.parametrize(
    ("name", "job", "before"),
    [
        ("kuberay/rayjob-embed.yaml", embed, ["pass-dead-letters"]),
        ("kuberay/rayjob-pretrain.yaml", pretrain, []),
    ],
)
def test_jobs_take_the_commands_that_run_them(name: str, job: Callable[..., int], before: list[str]) -> None:
    words = command_of(name)
    module = words.index("-m")
    assert words[: module + 2] == [*before, "python", "-m", f"jobs.{job.__name__}"]
    arguments = parse(job, words[module + 2 :])
    assert arguments["output"].startswith("s3://")
    assert arguments["progress"] == "log"
    if job is pretrain:
        assert (arguments["resume"], arguments["train"].worker_range) == (True, (16, 16))
    with pytest.raises(SpecError):
        parse(job, [*words[module + 2 :], "--worng", "1"])


def test_the_launch_takes_the_command_of_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # in the image the code is where the command runs
    words = command_of("kuberay/cronjob-embed.yaml")
    assert words[:5] == ["pass-dead-letters", "python", "-m", "jobs.launch", "embed"]
    submission, chosen = read("embed", words[5:])
    assert chosen == {"wait": True, "dry_run": False}
    assert submission.where.address == f"http://{document('kuberay/raycluster.yaml')['metadata']['name']}-head-svc:8265"
    of_the_job = shlex.split(document("kuberay/rayjob-embed.yaml")["spec"]["entrypoint"])[4:]
    assert parse(embed, list(submission.flags)) == parse(embed, of_the_job)
    with pytest.raises(SpecError):
        read("embed", [*words[5:], "--worng", "1"])


def test_one_run_at_a_time_and_retries_for_faults_of_the_world_alone() -> None:
    spec = document("kuberay/cronjob-embed.yaml")["spec"]
    job = spec["jobTemplate"]["spec"]
    assert (spec["concurrencyPolicy"], spec["timeZone"]) == ("Forbid", "Etc/UTC")
    assert (job["template"]["spec"]["restartPolicy"], job["backoffLimit"]) == ("Never", 3)
    ignored, failed = job["podFailurePolicy"]["rules"]
    assert (ignored["action"], failed["action"]) == ("Ignore", "FailJob")
    assert failed["onExitCodes"]["values"] == [SpecError.exit_code, LeaseError.exit_code]
    assert (job["activeDeadlineSeconds"], spec["startingDeadlineSeconds"]) == (86400, 1800)
    for name in RAY[1:]:
        found = document(name)["spec"]
        assert min(found["backoffLimit"], found["activeDeadlineSeconds"], found["preRunningDeadlineSeconds"]) > 0
        assert found["shutdownAfterJobFinishes"] is True
    assert (ShardError.exit_code, LeaseError.exit_code) == (3, 4)  # as the files' comments say


@pytest.mark.parametrize("name", [*RAY, "kuberay/cronjob-embed.yaml"])
def test_a_queue_of_kueue_is_a_comment_to_be_taken_up(name: str) -> None:
    assert "# kueue.x-k8s.io/queue-name: manta" in texts()[name]


def test_the_readme_s_table_of_sizes_is_what_the_sums_give() -> None:
    rows = re.findall(
        r"^\| (?:(\d+) x (\d+) \(\w+\))? ?\| (L4|H100) \| ([\d.]+) M \| (\d) \| (\d+) \|$",
        (ROOT / "README.md").read_text(),
        re.MULTILINE,
    )
    assert len(rows) == 8
    layers, width = 0, 0
    for first, second, chip, tokens, encoders, tokenizers in rows:
        layers, width = (int(first), int(second)) if first else (layers, width)
        model = ModelSize(num_parameters=12 * layers * width * width)
        nodes = (Node(cpus=0), Node(cpus=16, gpus=1, accelerator=chip), Node(cpus=16))
        placed = place(ClusterResources(nodes=nodes), TokenizePool(), EncodePool(), model)
        assert (placed.encode_actors.max, placed.encode_gpus) == (int(encoders), 1 / int(encoders))
        possible = PEAK_SHARE * PEAK_FLOPS[chip] / (2 * model.num_parameters)
        fed = min(possible, int(encoders) * PROCESS_TOKENS_PER_SECOND)
        assert f"{fed / 1e6:.1f}" == tokens
        assert placed.tokenize_actors == math.ceil(fed / TOKENIZER_TOKENS_PER_SECOND) == int(tokenizers)
