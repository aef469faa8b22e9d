"""What each file of cluster/ may hold, offline: by whoever reads it where that is installed, else written out here.

Ray reads its launcher's files (ray-schema.json), botocore knows AWS' machines, kubernetes-validate knows Kubernetes'
own kinds. Written out, as far as our files use them: KubeRay 1.7's ray.io/v1 (docs/reference/api.md), Google's
instances (compute/v1 instances.insert), eksctl's ClusterConfig (v1alpha5), Config Connector's ContainerNodePool, the
Prometheus operator's PodMonitor (v1) and rules of Prometheus.
"""

from __future__ import annotations

import shlex
from functools import cache
from typing import Any

import botocore.session
import click
import jsonschema
import kubernetes_validate
from botocore.validate import ParamValidator
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start

OLDEST = "1.31"
"""The oldest Kubernetes that the files are for: podFailurePolicy is stable from there on."""


class Wrong(ValueError):
    """A file holds what its reader does not know."""


def closed(required: str = "", **fields: Any) -> dict[str, Any]:
    """An object with these fields, some of them required, and no others."""
    return {"type": "object", "properties": fields, "required": required.split(), "additionalProperties": False}


def listed(item: dict[str, Any]) -> dict[str, Any]:
    """A list of such items."""
    return {"type": "array", "items": item, "minItems": 1}


def one_of(*values: str) -> dict[str, Any]:
    """One of these words."""
    return {"enum": list(values)}


TEXT, FLAG, NUMBER = {"type": "string", "minLength": 1}, {"type": "boolean"}, {"type": "integer", "minimum": 0}
NAMES = {"type": "object", "additionalProperties": TEXT}
TEXTS = listed(TEXT)
ELSEWHERE = {"type": "object"}  # checked by what knows it
METADATA = closed("name", name=TEXT, labels=NAMES)

START = closed(**{option.opts[0].removeprefix("--"): TEXT for option in start.params})
HEAD_GROUP = closed(
    "rayStartParams template", serviceType=one_of("ClusterIP"), rayStartParams=START, template=ELSEWHERE
)
WORKER_GROUP = closed(
    "groupName minReplicas maxReplicas rayStartParams template",
    groupName=TEXT,
    minReplicas=NUMBER,
    maxReplicas=NUMBER,
    idleTimeoutSeconds=NUMBER,
    labels=NAMES,
    rayStartParams=START,
    template=ELSEWHERE,
)
RAY_CLUSTER_SPEC = closed(
    "rayVersion authOptions headGroupSpec workerGroupSpecs",
    rayVersion=TEXT,
    authOptions=closed("mode secretName", mode=one_of("token"), secretName=TEXT),
    enableInTreeAutoscaling=FLAG,
    autoscalerOptions=closed(
        version=one_of("v1", "v2"),
        idleTimeoutSeconds=NUMBER,
        upscalingMode=one_of("Default", "Aggressive", "Conservative"),
        securityContext=ELSEWHERE,
        resources=ELSEWHERE,
    ),
    headGroupSpec=HEAD_GROUP,
    workerGroupSpecs=listed(WORKER_GROUP),
)
RAY_JOB_SPEC = closed(
    "entrypoint rayClusterSpec",
    entrypoint=TEXT,
    submissionMode=one_of("K8sJobMode", "HTTPMode", "SidecarMode"),
    backoffLimit=NUMBER,
    activeDeadlineSeconds=NUMBER,
    preRunningDeadlineSeconds=NUMBER,
    shutdownAfterJobFinishes=FLAG,
    ttlSecondsAfterFinished=NUMBER,
    suspend=FLAG,
    submitterConfig=closed(backoffLimit=NUMBER),
    submitterPodTemplate=ELSEWHERE,
    rayClusterSpec=RAY_CLUSTER_SPEC,
)
NODE_GROUP = closed(
    "name privateNetworking minSize maxSize labels",
    name=TEXT,
    instanceType=TEXT,
    instanceTypes=TEXTS,
    availabilityZones=TEXTS,
    spot=FLAG,
    efaEnabled=FLAG,
    privateNetworking=FLAG,
    minSize=NUMBER,
    desiredCapacity=NUMBER,
    maxSize=NUMBER,
    volumeSize=NUMBER,
    volumeType=one_of("gp3"),
    volumeEncrypted=FLAG,
    disableIMDSv1=FLAG,
    labels=NAMES,
    taints=listed(closed("key effect", key=TEXT, value=TEXT, effect=one_of("NoSchedule"))),
    propagateASGTags=FLAG,
)
NODE_POOL_SPEC = closed(
    "location clusterRef nodeConfig",
    location=TEXT,
    clusterRef=closed("external", external=TEXT),
    nodeLocations=TEXTS,
    initialNodeCount=NUMBER,
    autoscaling=closed(totalMinNodeCount=NUMBER, totalMaxNodeCount=NUMBER, locationPolicy=one_of("ANY", "BALANCED")),
    management=closed(autoRepair=FLAG, autoUpgrade=FLAG),
    networkConfig=closed(enablePrivateNodes=FLAG),
    placementPolicy=closed("type", type=one_of("COMPACT")),
    nodeConfig=closed(
        "machineType labels",
        machineType=TEXT,
        spot=FLAG,
        diskSizeGb=NUMBER,
        diskType=TEXT,
        gvnic=closed("enabled", enabled=FLAG),
        fastSocket=closed("enabled", enabled=FLAG),
        guestAccelerator=listed(
            closed(
                "type count",
                type=TEXT,
                count=NUMBER,
                gpuDriverInstallationConfig=closed("gpuDriverVersion", gpuDriverVersion=TEXT),
            )
        ),
        workloadMetadataConfig=closed(mode=one_of("GKE_METADATA")),
        serviceAccountRef=closed("external", external=TEXT),
        oauthScopes=TEXTS,
        shieldedInstanceConfig=closed(enableSecureBoot=FLAG, enableIntegrityMonitoring=FLAG),
        labels=NAMES,
        taint=listed(closed("key value effect", key=TEXT, value=TEXT, effect=one_of("NO_SCHEDULE"))),
    ),
)
DURATION = {"type": "string", "pattern": r"^(\d+(ms|[smhdwy]))+$"}
RELABELING = closed("sourceLabels targetLabel", sourceLabels=TEXTS, targetLabel=TEXT, action=one_of("replace"))
POD_MONITOR_SPEC = closed(
    "selector podMetricsEndpoints",
    selector=closed("matchLabels", matchLabels=NAMES),
    podMetricsEndpoints=listed(closed("port", port=TEXT, interval=DURATION, relabelings=listed(RELABELING))),
)
RULE = closed("alert expr annotations", alert=TEXT, expr=TEXT, labels=NAMES, annotations=NAMES, **{"for": DURATION})
RULES = closed("groups", groups=listed(closed("name rules", name=TEXT, interval=DURATION, rules=listed(RULE))))
KINDS = {
    "RayCluster": closed(
        "apiVersion kind metadata spec",
        apiVersion=one_of("ray.io/v1"), kind=TEXT, metadata=METADATA, spec=RAY_CLUSTER_SPEC,
    ),
    "RayJob": closed(
        "apiVersion kind metadata spec",
        apiVersion=one_of("ray.io/v1"), kind=TEXT, metadata=METADATA, spec=RAY_JOB_SPEC,
    ),
    "ClusterConfig": closed(
        "apiVersion kind metadata managedNodeGroups",
        apiVersion=one_of("eksctl.io/v1alpha5"),
        kind=TEXT,
        metadata=closed("name region", name=TEXT, region=TEXT),
        availabilityZones=TEXTS,
        iam=closed(withOIDC=FLAG),
        privateCluster=closed(enabled=FLAG),
        managedNodeGroups=listed(NODE_GROUP),
    ),
    "ContainerNodePool": closed(
        "apiVersion kind metadata spec",
        apiVersion=one_of("container.cnrm.cloud.google.com/v1beta1"), kind=TEXT, metadata=METADATA, spec=NODE_POOL_SPEC,
    ),
    "PodMonitor": closed(
        "apiVersion kind metadata spec",
        apiVersion=one_of("monitoring.coreos.com/v1"), kind=TEXT, metadata=METADATA, spec=POD_MONITOR_SPEC,
    ),
}  # fmt: skip
GOOGLE_MACHINE = closed(
    "machineType disks networkInterfaces",
    machineType=TEXT,
    disks=listed(
        closed(
            boot=FLAG,
            autoDelete=FLAG,
            type=one_of("PERSISTENT"),
            initializeParams=closed(diskSizeGb=NUMBER, diskType=TEXT, sourceImage=TEXT),
        )
    ),
    networkInterfaces=listed(closed("subnetwork", subnetwork=TEXT, nicType=one_of("GVNIC"))),
    serviceAccounts=listed(closed("email scopes", email=TEXT, scopes=TEXTS)),
    shieldedInstanceConfig=closed(enableSecureBoot=FLAG, enableVtpm=FLAG, enableIntegrityMonitoring=FLAG),
    scheduling=closed(
        provisioningModel=one_of("SPOT", "STANDARD"),
        instanceTerminationAction=one_of("DELETE", "STOP"),
        onHostMaintenance=one_of("TERMINATE", "MIGRATE"),
    ),
    resourcePolicies=TEXTS,
)
PROVIDERS = {
    "aws": closed("type region", type=TEXT, region=TEXT, use_internal_ips=FLAG, cache_stopped_nodes=FLAG),
    "gcp": closed(
        "type region availability_zone project_id",
        type=TEXT,
        region=TEXT,
        availability_zone=TEXT,
        project_id=TEXT,
        use_internal_ips=FLAG,
        cache_stopped_nodes=FLAG,
    ),
    "local": closed("type head_ip worker_ips", type=TEXT, head_ip=TEXT, worker_ips=TEXTS),
}
"""Ray's own schema lets any key pass within a provider."""


def check(document: dict[str, Any]) -> None:
    """Raise where a document holds what its reader does not know: ValueError, or jsonschema's ValidationError."""
    kind = document.get("kind")
    if kind is None and "groups" in document:
        obey(document, RULES)
    elif kind is None:
        check_launcher(document)
    elif kind not in KINDS:
        for version in (OLDEST, kubernetes_validate.latest_version()):
            check_core(document, version)
    else:
        obey(document, KINDS[kind])
        if document["apiVersion"] == "ray.io/v1":
            check_pods(document["spec"])


def obey(value: object, schema: dict[str, Any]) -> None:
    """A value as its schema has it. (jsonschema.validate looks at the schema, too, each time.)"""
    jsonschema.Draft202012Validator(schema).validate(value)


def check_core(document: dict[str, Any], version: str = OLDEST) -> None:
    """One of Kubernetes' own kinds, strictly."""
    kubernetes_validate.validate(document, version, strict=True)


def check_pods(spec: dict[str, Any]) -> None:
    """The pods that a RayCluster or a RayJob leads to."""
    cluster = spec.get("rayClusterSpec", spec)
    templates = [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    if "submitterPodTemplate" in spec:
        templates.append(spec["submitterPodTemplate"])
    options = cluster.get("autoscalerOptions", {})
    sidecar = {
        "name": "autoscaler",
        **{key: options[key] for key in ("resources", "securityContext") if key in options},
    }
    templates.append({"metadata": {}, "spec": {"containers": [sidecar]}})
    for template in templates:
        named = {"name": "pod", **template.get("metadata", {})}
        check_core({"apiVersion": "v1", "kind": "Pod", **template, "metadata": named})


def check_launcher(config: dict[str, Any]) -> None:
    """A file of Ray's cluster launcher, the machines of its cloud, and the flags of `ray start`."""
    validate_config(prepare_config(config))
    cloud = config["provider"]["type"]
    obey(config["provider"], PROVIDERS[cloud])
    for kind in config.get("available_node_types", {}).values():
        if cloud == "aws":
            check_aws_machine(kind["node_config"])
        else:
            obey(kind["node_config"], GOOGLE_MACHINE)
    for command in (*config["head_start_ray_commands"], *config["worker_start_ray_commands"]):
        check_start(command)


def check_aws_machine(machine: dict[str, Any]) -> None:
    """What Ray hands on to RunInstances; SubnetIds are its own, it tries them in turn."""
    machine = {key: value for key, value in machine.items() if key != "SubnetIds"}
    report = ParamValidator().validate({"MinCount": 1, "MaxCount": 1, **machine}, _run_instances())
    if report.has_errors():
        raise Wrong(report.generate_report())


def check_start(command: str) -> None:
    """A `ray start` with the flags that it has."""
    words = shlex.split(command)
    if words[:2] == ["ray", "start"]:
        try:
            start.make_context("ray start", words[2:])  # which parses, and runs nothing
        except click.UsageError as error:
            raise Wrong(f"{command}: {error}") from error


@cache
def _run_instances() -> Any:
    return botocore.session.get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
