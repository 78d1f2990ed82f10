"""The fields of a Kustomization that change what is built or applied."""

from __future__ import annotations

from typing import Any

import pytest

from fluxtui.kube.client import PatchType
from tests.engine.kustomize.world import World, config_map, deployment
from tests.engine.polling import eventually


async def applied(world: World, files: dict[str, str], **spec: Any) -> None:
    await world.publish(files)
    await world.kustomization("apps", **spec)
    async with world.running():
        await world.ready("apps")


async def test_a_directory_without_kustomization_is_taken_whole(world: World) -> None:
    files = {
        "a.yaml": config_map("a"),
        "deep/er/b.yml": config_map("b"),
        "base/kustomization.yaml": "resources: [c.yaml]\nnamePrefix: pre-\n",
        "base/c.yaml": config_map("c"),
        "base/unused.yaml": config_map("unused"),
        "README.md": "no manifest",
        "two.yaml": f"{config_map('d')}---\n{config_map('e')}",
    }
    await applied(world, files)
    for name in ("a", "b", "pre-c", "d", "e"):
        assert await world.get("ConfigMap", name) is not None, name
    assert await world.get("ConfigMap", "unused") is None


async def test_nothing_at_all_is_no_error(world: World) -> None:
    await applied(world, {"empty/README.md": "nothing"}, path="empty")
    assert (await world.status("apps"))["inventory"] == {"entries": []}


async def test_a_file_that_is_no_object_fails_the_build(world: World) -> None:
    await world.publish({"values.yaml": "replicas: 3\n"})
    await world.kustomization("apps")
    async with world.running():
        await world.settled("apps", "BuildFailed", "values.yaml: missing Resource metadata")


async def test_namespace_prefix_and_suffix(world: World) -> None:
    await applied(
        world,
        {"a.yaml": config_map("a", "somewhere")},
        targetNamespace="default",
        namePrefix="x-",
        nameSuffix="-y",
    )
    assert await world.get("ConfigMap", "x-a-y") is not None


async def test_a_namespace_put_on_a_cluster_scoped_object_does_not_count(world: World) -> None:
    widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata:\n  name: w\n  namespace: default\n"
    definition = (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
        "metadata: {name: widgets.example.com}\n"
        "spec:\n  group: example.com\n  scope: Cluster\n  names: {kind: Widget, plural: widgets, singular: widget}\n"
        "  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]\n"
    )
    await applied(world, {"w.yaml": widget, "crd.yaml": definition})
    ids = [entry["id"] for entry in (await world.status("apps"))["inventory"]["entries"]]
    assert ids == ["_widgets.example.com_apiextensions.k8s.io_CustomResourceDefinition", "_w_example.com_Widget"]


async def test_patches_images_and_metadata(world: World) -> None:
    await applied(
        world,
        {"web.yaml": deployment("web"), "a.yaml": config_map("a")},
        patches=[
            {"patch": '[{"op": "replace", "path": "/spec/replicas", "value": 3}]', "target": {"kind": "Deployment"}},
            {"patch": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\ndata: {k: patched}\n"},
        ],
        images=[{"name": "example.com/app", "newTag": "2"}],
        commonMetadata={"labels": {"team": "web"}, "annotations": {"owner": "ops"}},
    )
    web = await world.get("Deployment", "web")
    assert web is not None
    assert web["spec"]["replicas"] == 3
    assert web["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/app:2"
    assert web["metadata"]["labels"]["team"] == "web"
    assert "team" not in web["spec"]["template"]["metadata"]["labels"]
    a = await world.get("ConfigMap", "a")
    assert a is not None
    assert a["data"] == {"k": "patched"}
    assert a["metadata"]["annotations"]["owner"] == "ops"


async def test_images_of_the_kustomization_are_merged(world: World) -> None:
    own = "resources: [web.yaml]\nimages: [{name: example.com/app, newName: example.org/app, digest: 'sha256:aa'}]\n"
    await applied(
        world,
        {"kustomization.yaml": own, "web.yaml": deployment("web")},
        images=[{"name": "example.com/app", "newTag": "3"}],
    )
    web = await world.get("Deployment", "web")
    assert web is not None
    assert web["spec"]["template"]["spec"]["containers"][0]["image"] == "example.org/app:3"


async def test_components(world: World) -> None:
    files = {
        "apps/kustomization.yaml": "resources: [a.yaml]\n",
        "apps/a.yaml": config_map("a"),
        "extra/kustomization.yaml": (
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -extra\n"
        ),
    }
    await applied(world, files, path="apps", components=["../extra", "../absent"], ignoreMissingComponents=True)
    assert await world.get("ConfigMap", "a-extra") is not None


async def test_a_remote_component_is_refused(world: World) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps", components=["https://example.com/component"])
    async with world.running():
        await world.settled("apps", "BuildFailed", "component path 'https://example.com/component' must be local")


async def test_files_outside_of_the_path_but_inside_of_the_artifact(world: World) -> None:
    files = {"apps/kustomization.yaml": "resources: [../shared/a.yaml]\n", "shared/a.yaml": config_map("a")}
    await applied(world, files, path="apps")
    assert await world.get("ConfigMap", "a") is not None


async def test_files_outside_of_the_artifact_are_not_read(world: World) -> None:
    secret = world.scratch / "secret.yaml"
    secret.write_text(config_map("stolen"))
    up = "../" * 20
    await world.publish({"kustomization.yaml": f"resources: [{up}{str(secret).lstrip('/')}]\n"})
    await world.kustomization("apps")
    async with world.running():
        await world.settled("apps", "BuildFailed", "kustomize build failed")
    assert await world.get("ConfigMap", "stolen") is None


async def test_substitution(world: World) -> None:
    for name, data in (("vars", {"env": "test", "size": "1"}), ("more", {"size": "2"})):
        resource = await world.resource("ConfigMap")
        metadata = {"name": name, "namespace": "flux-system"}
        await world.client.create(
            resource, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        )
    references: list[dict[str, Any]] = [{"kind": "ConfigMap", "name": name} for name in ("vars", "more")]
    references.append({"kind": "Secret", "name": "absent", "optional": True})
    await applied(
        world,
        {"a.yaml": config_map("${name}", env="x-${env}", size="n${size}", kept="$${env}", other="${other:=o}")},
        postBuild={"substitute": {"name": "web"}, "substituteFrom": references},
    )
    web = await world.get("ConfigMap", "web")
    assert web is not None
    assert web["data"] == {"env": "x-test", "size": "n2", "kept": "${env}", "other": "o"}


async def test_unset_variables_are_refused_before_anything_is_applied(world: World) -> None:
    await world.publish({"a.yaml": config_map("a"), "b.yaml": config_map("b", k="${absent}")})
    await world.kustomization("apps", postBuild={"substitute": {"x": "y"}})
    async with world.running():
        await world.settled(
            "apps", "UnresolvedVariables", 'ConfigMap/default/b\': variable not set (strict mode): "absent"'
        )
    assert await world.get("ConfigMap", "a") is None


async def test_a_missing_source_of_variables_is_refused(world: World) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps", postBuild={"substituteFrom": [{"kind": "ConfigMap", "name": "absent"}]})
    async with world.running():
        await world.settled("apps", "SubstitutionSourceMissing", "substitute from 'ConfigMap/absent' error: not found")


async def test_variables_that_change_are_seen_at_the_next_run(world: World) -> None:
    resource = await world.resource("ConfigMap")
    metadata = {"name": "vars", "namespace": "flux-system"}
    await world.client.create(
        resource, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"v": "old"}}
    )
    await world.publish({"a.yaml": config_map("a", k="${v}")})
    from_vars = {"substituteFrom": [{"kind": "ConfigMap", "name": "vars"}]}
    await world.kustomization("apps", interval="1s", postBuild=from_vars)
    async with world.running():
        await world.ready("apps")
        await world.client.patch(resource, "vars", "flux-system", {"data": {"v": "new"}}, type=PatchType.MERGE)

        async def seen() -> bool:
            return (await world.get("ConfigMap", "a") or {}).get("data") == {"k": "new"}

        await eventually(seen)


FORCE = "kustomize.toolkit.fluxcd.io/force: Enabled"


@pytest.mark.parametrize(("spec", "mark"), [({"force": True}, ""), ({}, FORCE)])
async def test_immutable_fields_are_forced(world: World, spec: dict[str, Any], mark: str) -> None:
    await world.publish({"s.yaml": immutable("one", mark)})
    await world.kustomization("apps", **spec)
    async with world.running():
        await world.ready("apps")
        before = await world.get("ConfigMap", "fixed")
        await world.ready("apps", await world.publish({"s.yaml": immutable("two", mark)}))
        after = await world.get("ConfigMap", "fixed")
    assert before is not None
    assert after is not None
    assert after["data"] == {"k": "two"}
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


async def test_immutable_fields_are_refused_without_force(world: World) -> None:
    await world.publish({"s.yaml": immutable("one")})
    await world.kustomization("apps")
    async with world.running():
        await world.ready("apps")
        await world.publish({"s.yaml": immutable("two")})
        await world.settled("apps", "ReconciliationFailed", "ConfigMap/default/fixed dry-run failed (Invalid)")


def immutable(value: str, annotation: str = "") -> str:
    return (
        "apiVersion: v1\nkind: ConfigMap\nimmutable: true\n"
        f"metadata:\n  name: fixed\n  namespace: default\n  annotations: {{{annotation}}}\ndata: {{k: {value}}}\n"
    )


async def test_marks_on_objects(world: World) -> None:
    def marked(name: str, value: str, mark: str) -> str:
        return config_map(name, k=value).replace(
            "metadata:\n", f"metadata:\n  annotations: {{kustomize.toolkit.fluxcd.io/{mark}}}\n"
        )

    marks = {"once": "ssa: IfNotPresent", "never": "ssa: Ignore", "off": "reconcile: disabled"}
    await world.publish({f"{name}.yaml": marked(name, "one", mark) for name, mark in marks.items()})
    await world.kustomization("apps")
    async with world.running():
        status = await world.ready("apps")
        assert [entry["id"] for entry in status["inventory"]["entries"]] == [
            f"default_{name}__ConfigMap" for name in ("never", "off", "once")
        ]
        revision = await world.publish({f"{name}.yaml": marked(name, "two", mark) for name, mark in marks.items()})
        await world.ready("apps", revision)
    assert (await world.get("ConfigMap", "once") or {})["data"] == {"k": "one"}
    assert await world.get("ConfigMap", "never") is None
    assert await world.get("ConfigMap", "off") is None


async def test_fields_that_are_ignored_keep_their_live_value(world: World) -> None:
    await world.publish({"web.yaml": deployment("web"), "a.yaml": config_map("a")})
    await world.kustomization(
        "apps", ignore=[{"paths": ["/spec/replicas"], "target": {"kind": "Deployment"}}, {"paths": ["/data/own"]}]
    )
    async with world.running():
        await world.ready("apps")
        resource = await world.resource("Deployment")
        await world.client.patch(resource, "web", "default", {"spec": {"replicas": 4}}, type=PatchType.MERGE)
        changed = deployment("web").replace("app:1", "app:2")
        await world.ready("apps", await world.publish({"web.yaml": changed, "a.yaml": config_map("a")}))
    web = await world.get("Deployment", "web")
    assert web is not None
    assert web["spec"]["replicas"] == 4
    assert web["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/app:2"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"paths": ["spec/replicas"]}, "is no JSON pointer"),
        ({"paths": ["/spec"], "target": {"name": "("}}, "spec.ignore[0].target.name"),
        ({"paths": ["/spec"], "target": {"labelSelector": "a=b=c"}}, "spec.ignore[0].target"),
    ],
)
async def test_rules_that_cannot_be_read(world: World, rule: dict[str, Any], message: str) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps", ignore=[rule])
    async with world.running():
        await world.settled("apps", "ReconciliationFailed", message)


async def test_dependencies_wake_their_dependents(world: World) -> None:
    await world.publish({"one/a.yaml": config_map("a", "missing"), "two/b.yaml": config_map("b")})
    await world.kustomization("one", path="one")
    await world.kustomization("two", path="two", dependsOn=[{"name": "one"}, {"name": "three"}])
    async with world.running():
        await world.settled("one", "ReconciliationFailed")
        status = await world.settled("two", "DependencyNotReady", "dependency 'flux-system/one' is not ready")
        assert "lastAttemptedRevision" not in status
        revision = await world.publish({"one/a.yaml": config_map("a"), "two/b.yaml": config_map("b")})
        await world.ready("one", revision)
        await world.settled("two", "DependencyNotReady", "dependency 'flux-system/three' not found")
        await world.kustomization("three", path="one")
        await world.ready("two", revision)
    message = "Dependencies do not meet ready condition, retrying in 30s"
    assert ("Normal", "DependencyNotReady", message) in await world.events("two")


async def test_a_service_account_is_impersonated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = await world.resource("ServiceAccount")
    metadata = {"name": "deployer", "namespace": "flux-system"}
    await world.client.create(resource, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps", serviceAccountName="deployer")
    users = impersonated(world, monkeypatch)
    async with world.running():
        await world.ready("apps")
        await world.delete("Kustomization", "apps")
        await world.gone("Kustomization", "apps", "flux-system")
    assert await world.get("ConfigMap", "a") is None
    assert users == {"system:serviceaccount:flux-system:deployer"}


async def test_objects_stay_when_the_service_account_is_gone(world: World) -> None:
    await world.publish({"a.yaml": config_map("a")})
    await world.kustomization("apps", serviceAccountName="deployer")
    async with world.running():
        await world.ready("apps")
        await world.delete("Kustomization", "apps")
        await world.gone("Kustomization", "apps", "flux-system")
    assert await world.get("ConfigMap", "a") is not None
    message = "unable to prune objects: \nConfigMap/default/a"
    assert ("Warning", "ReconciliationSucceeded", message) in await world.events("apps")


def impersonated(world: World, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The users whose writes go through the world's client."""
    users: set[str] = set()
    send = world.client.request

    def request(method: str, path: str, **options: Any) -> Any:
        if "configmaps" in path and method in ("PATCH", "DELETE"):
            users.add((options.get("headers") or {}).get("Impersonate-User", ""))
        return send(method, path, **options)

    monkeypatch.setattr(world.client, "request", request)
    return users


async def test_the_digest_of_a_build_is_that_of_upstream(world: World) -> None:
    """As kustomize-controller 1.9.4 wrote it for the same source; it is kept when a cluster changes hands."""
    plain = (
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: plain, namespace: default, annotations: {a: "1"}}\n'
        'data:\n  x: |\n    line1\n      line2\n  y: "0775"\n  z: \'on\'\n  big: "12345678901234567890"\n'
    )
    await applied(world, {"plain/cm.yaml": plain}, path="plain", targetNamespace="default", nameSuffix="-x")
    digest = "sha256:e722ef19951348f2924ee9d7213c9376ee210c864eb732bae70769e90c4d1c9b"
    assert (await world.status("apps"))["history"][0]["digest"] == digest


async def test_build_metadata(world: World) -> None:
    files = {
        "kustomization.yaml": "resources: [a.yaml]\nnamePrefix: x-\n",
        "a.yaml": config_map("a"),
    }
    await applied(world, files, buildMetadata=["originAnnotations", "transformerAnnotations"])
    a = await world.get("ConfigMap", "x-a")
    assert a is not None
    annotations = a["metadata"]["annotations"]
    assert annotations["config.kubernetes.io/origin"] == "path: a.yaml\n"
    assert "PrefixTransformer" in annotations["alpha.config.kubernetes.io/transformations"]


async def test_a_kustomization_without_resources_tells_origins(world: World) -> None:
    options = "namespace: default\ngeneratorOptions: {disableNameSuffixHash: true}\nbuildMetadata: [managedByLabel]\n"
    generators = f"{options}configMapGenerator: [{{name: a, literals: [k=v]}}]\n"
    await applied(world, {"deep/kustomization.yaml": generators}, path="deep")
    a = await world.get("ConfigMap", "a")
    assert a is not None
    origin = "configuredIn: kustomization.yaml\nconfiguredBy:\n  apiVersion: builtin\n  kind: ConfigMapGenerator\n"
    assert a["metadata"]["annotations"] == {"config.kubernetes.io/origin": origin}
    assert "app.kubernetes.io/managed-by" not in a["metadata"]["labels"]


async def test_the_origin_of_an_artifact_is_told(world: World) -> None:
    await world.publish({"a.yaml": config_map("a")})
    source = await world.get("GitRepository", "fleet", "flux-system")
    assert source is not None
    artifact = {**source["status"]["artifact"], "metadata": {"org.opencontainers.image.revision": "main@sha1:abc"}}
    await world.set_artifact(artifact)
    await world.kustomization("apps")
    async with world.running():
        status = await world.ready("apps")
        assert status["lastAppliedOriginRevision"] == "main@sha1:abc"
        assert status["history"][0]["metadata"]["originRevision"] == "main@sha1:abc"
        await world.delete("Kustomization", "apps")
        await world.gone("Kustomization", "apps", "flux-system")
    resource = await world.client.resource_for(("", "v1", "Event"))
    found = await world.client.list(resource, "flux-system", field_selector="involvedObject.name=apps")
    annotations = [item["metadata"].get("annotations") or {} for item in found.items]
    assert annotations
    for item in annotations:
        assert item["kustomize.toolkit.fluxcd.io/originRevision"] == "main@sha1:abc"
        assert item["kustomize.toolkit.fluxcd.io/revision"] == artifact["revision"]
