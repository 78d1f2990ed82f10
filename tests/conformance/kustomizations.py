"""Random kustomizations over random objects, see `overlays`."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from tests.conformance.overlays import (
    IMAGES,
    NAMESPACES,
    Draw,
    labels,
    names,
    rendered,
    some,
    texts,
    tree,
    without_none,
    written,
)

Objects = list[dict[str, Any]]
KINDS = ("Deployment", "StatefulSet", "Service", "ConfigMap", "Secret", "Widget", "Role", "Namespace", "Job")
WORKLOADS = ("Deployment", "StatefulSet", "ReplicaSet")
Place = tuple[str | int, ...]


def places(value: Any, above: Place = ()) -> list[Place]:
    """Where there is a value in an object: keys and indexes."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [above] if above else []
    for key, item in items:
        found += places(item, (*above, key))
    return found


@st.composite
def field_path(draw: Draw, target: dict[str, Any]) -> str:
    """The path of a field as replacements have it, of one that is there or (seldom) is not."""
    place = draw(st.sampled_from(places(target)))
    parts = []
    node: Any = target
    for key in place:
        node = node[key]
        if isinstance(key, str):
            parts.append(f"[{key}]" if "." in key and draw(st.booleans()) else key.replace(".", "\\."))
        elif isinstance(node, dict) and "name" in node and draw(st.integers(0, 2)):
            parts.append(f"[name={node['name']}]")
        else:
            parts.append(str(key) if draw(st.integers(0, 3)) else "*")
    if draw(st.integers(1, 25)) == 1:
        parts[-1] = "absent"
    return ".".join(parts)


@st.composite
def pointer(draw: Draw, target: dict[str, Any], *, new: bool) -> str:
    """A JSON pointer to a field that is there, or to one beside it."""
    place = list(draw(st.sampled_from(places(target))))
    if new and draw(st.booleans()):
        place[-1] = "-" if isinstance(place[-1], int) else draw(st.sampled_from(("alpha", "new", "1")))
    if draw(st.integers(1, 15)) == 1:
        place.append("deep")
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


@st.composite
def patched(draw: Draw, value: Any, depth: int = 0) -> Any:
    """A part of a value with changes, as a strategic patch has them."""
    if isinstance(value, dict):
        result = {}
        for key, item in value.items():
            if key in ("kind", "apiVersion") or draw(st.integers(0, 2)) == 0:
                continue
            result[key] = draw(patched(item, depth + 1))
        if draw(st.integers(1, 6)) == 1:
            result[draw(st.sampled_from(("alpha", "image", "replicas", "env", "k1")))] = draw(
                st.one_of(written, tree(1))
            )
        if depth and draw(st.integers(1, 15)) == 1:
            result["$patch"] = draw(st.sampled_from(("delete", "replace", "merge")))
        result.update(draw(directives(value)) if draw(st.integers(1, 10)) == 1 else {})
        return result
    if isinstance(value, list):
        result_list = []
        for item in value:
            kept = draw(patched(item, depth + 1))
            if isinstance(item, dict) and isinstance(kept, dict):
                for key in ("name", "containerPort", "port", "mountPath"):
                    if key in item and draw(st.integers(0, 5)):
                        kept[key] = item[key]
            result_list.append(kept)
        extra = draw(st.integers(1, 8))
        if extra == 1:
            result_list.insert(0, {"name": "new", "image": draw(st.sampled_from(IMAGES))})
        elif extra == 2:
            result_list.append({"$patch": draw(st.sampled_from(("delete", "replace", "merge")))})
        elif extra == 3:
            result_list.reverse()
        return result_list
    choice = draw(st.integers(1, 6))
    return None if choice == 1 else draw(written) if choice <= 3 else value


@st.composite
def directives(draw: Draw, value: dict[str, Any]) -> dict[str, Any]:
    """What a strategic patch says of the keys of a map and of its lists, beside values."""
    lists = {key: item for key, item in value.items() if isinstance(item, list) and item}
    if not lists or draw(st.booleans()):
        return {"$retainKeys": draw(st.lists(st.sampled_from(sorted(value) or ["x"]), max_size=2))}
    key = draw(st.sampled_from(sorted(lists)))
    kept = [item for item in lists[key] if draw(st.booleans())]
    if draw(st.booleans()):
        return {f"$deleteFromPrimitiveList/{key}": kept}
    return {
        f"$setElementOrder/{key}": [
            item
            if not isinstance(item, dict)
            else {name: item[name] for name in ("name", "containerPort") if name in item}
            for item in kept
        ]
    }


@st.composite
def strategic(draw: Draw, found: Objects) -> str:
    """A strategic patch of one of the objects."""
    target = draw(st.sampled_from(found))
    patch = draw(patched(copy.deepcopy(target)))
    if draw(st.integers(1, 15)) == 1:
        patch["$patch"] = draw(st.sampled_from(("delete", "replace", "merge")))
    meta = patch["metadata"] if isinstance(patch.get("metadata"), dict) else {}
    meta["name"] = target["metadata"]["name"]
    if "namespace" in target["metadata"]:
        meta["namespace"] = target["metadata"]["namespace"]
    return rendered({"apiVersion": target["apiVersion"], "kind": target["kind"], **patch, "metadata": meta})


@st.composite
def operations(draw: Draw, target: dict[str, Any]) -> str:
    """A JSON patch."""
    found = []
    for _ in range(draw(st.integers(1, 2))):
        kind = draw(st.sampled_from((*["add"] * 4, *["replace"] * 4, *["remove", "copy", "move"] * 2, "test")))
        operation = {"op": kind, "path": draw(pointer(target, new=kind in ("add", "copy", "move")))}
        if kind in ("add", "replace", "test"):
            operation["value"] = draw(st.one_of(written, tree(1)))
        elif kind in ("copy", "move"):
            operation["from"] = draw(pointer(target, new=False))
        found.append(operation)
    return rendered(found)


@st.composite
def selector(draw: Draw) -> dict[str, Any]:
    """What a patch or a replacement goes to."""
    return without_none(
        kind=draw(some(st.sampled_from((*KINDS, "Deploy.*", "Deployment|Service")))),
        name=draw(some(st.one_of(names, st.sampled_from(("w.*", ".*", "we", "web|db"))))),
        namespace=draw(some(st.sampled_from((*NAMESPACES, "s.*")), 5)),
        version=draw(some(st.sampled_from(("v1", "v.*")), 6)),
        group=draw(some(st.sampled_from(("apps", "a.*")), 6)),
        labelSelector=draw(some(st.sampled_from(("app=a", "app", "!app", "app in (a,b)", "tier!=b")), 6)),
        annotationSelector=draw(some(st.sampled_from(("alpha", "k1=1")), 10)),
    )


@st.composite
def patch(draw: Draw, found: Objects) -> dict[str, Any]:
    """An entry of `patches`."""
    is_json = draw(st.booleans())
    one = draw(st.sampled_from(found))
    text = draw(operations(one) if is_json else strategic(found))
    options = draw(some(st.fixed_dictionaries({}, optional={
        "allowNameChange": st.booleans(), "allowKindChange": st.booleans()}), 5))  # fmt: skip
    target = draw(selector()) if draw(st.integers(1, 4)) == 1 else None
    if is_json and target is None:
        target = {"kind": one["kind"], "name": one["metadata"]["name"]}
    return without_none(patch=text, target=target, options=options)


@st.composite
def replacement(draw: Draw, found: Objects) -> dict[str, Any]:
    """An entry of `replacements`."""
    one = draw(st.sampled_from(found))
    options = st.fixed_dictionaries(
        {}, optional={"delimiter": st.sampled_from((":", "/", "-", ".")), "index": st.integers(-1, 2)}
    )
    created = st.builds(lambda base, create: {**base, "create": create}, options, st.booleans())
    source = without_none(
        kind=one["kind"],
        name=one["metadata"]["name"],
        fieldPath=draw(some(field_path(one))),
        options=draw(some(options, 5)),
    )
    targets = []
    for _ in range(draw(st.integers(1, 2))):
        other = draw(st.sampled_from(found))
        named = {"kind": other["kind"], "name": other["metadata"]["name"]}
        targets.append(
            without_none(
                select=draw(selector()) if draw(st.integers(1, 4)) == 1 else named,
                reject=draw(some(st.lists(selector(), max_size=2), 6)),
                fieldPaths=draw(st.lists(field_path(other), min_size=1, max_size=2)),
                options=draw(some(created)),
            )
        )
    if draw(st.integers(1, 8)) == 1:
        return {"sourceValue": draw(st.sampled_from(("x", "1", "true", "a:b"))), "targets": targets}
    return {"source": source, "targets": targets}


@st.composite
def generator(draw: Draw, known: tuple[str, ...], *, is_secret: bool) -> dict[str, Any]:
    """An entry of `configMapGenerator` or `secretGenerator`; `known` are names that have been generated before."""
    behavior = draw(st.sampled_from(("merge", "replace", "merge"))) if known else None
    literals = st.sampled_from(
        (
            "a=1",
            "b=two words",
            "c='quoted'",
            'd="x"',
            "e=a=b",
            "f=",
            "g= sp ",
            "a=yes",
            "u=ü",
            "n=a\nb",
            "1=x",
            "true=1",
        )
    )
    return without_none(
        name=draw(st.sampled_from(known or ("gen-a", "gen-b", "web"))),
        namespace=draw(some(st.sampled_from(NAMESPACES), 12)),
        behavior=behavior,
        literals=draw(some(st.lists(literals, max_size=3, unique_by=lambda text: text[0]))),
        files=draw(some(st.sampled_from((["data.txt"], ["key=data.txt"], ["raw.bin"], ["data.txt", "cr.txt"])))),
        envs=draw(some(st.just(["settings.env"]), 3)),
        type=draw(some(st.just("kubernetes.io/tls"), 4)) if is_secret else None,
        options=draw(some(generator_options(), 4)),
    )


@st.composite
def generators(draw: Draw, below: list[dict[str, Any]] | None, *, is_secret: bool) -> list[dict[str, Any]]:
    """Entries with different names, over those of a kustomization below."""
    known = tuple(item["name"] for item in below or ())
    entry = generator(known if draw(st.integers(0, 3)) else (), is_secret=is_secret)
    found: list[dict[str, Any]] = draw(
        st.lists(entry, min_size=1, max_size=2, unique_by=lambda item: str(item["name"]))
    )
    return found


def generator_options() -> st.SearchStrategy[dict[str, Any]]:
    """`generatorOptions`, or those of one generator."""
    fields: dict[str, st.SearchStrategy[Any]] = {
        "disableNameSuffixHash": st.booleans(),
        "immutable": st.booleans(),
        "labels": labels,
        "annotations": labels,
    }
    return st.fixed_dictionaries({}, optional=fields)


@st.composite
def plugin(draw: Draw) -> str:
    """A transformer in a text of its own."""
    kind = draw(st.sampled_from(("Label", "Annotations", "Namespace", "Prefix", "Suffix", "ImageTag")))
    meta = {"name": draw(st.sampled_from(("t", "u", "v", "w")))}
    found: dict[str, Any] = {"apiVersion": "builtin", "kind": f"{kind}Transformer", "metadata": meta}
    spec: dict[str, Any] = {"path": "metadata/name"}
    if kind in ("Label", "Annotations"):
        found[kind.lower() if kind == "Annotations" else "labels"] = draw(labels)
        spec = {
            "path": draw(st.sampled_from(("metadata/labels", "spec/template/metadata/labels", "spec/alpha"))),
            "create": True,
        }
    elif kind == "Namespace":
        found["metadata"]["namespace"] = draw(st.sampled_from(NAMESPACES))
        found = without_none(
            **found,
            unsetOnly=draw(some(st.booleans())),
            setRoleBindingSubjects=draw(some(st.sampled_from(("none", "defaultOnly", "allServiceAccounts")))),
        )
        spec = {"path": "metadata/namespace", "create": True}
    elif kind in ("Prefix", "Suffix"):
        found[kind.lower()] = draw(st.sampled_from(("p-", "-s")))
    else:
        found["imageTag"] = draw(image())
        spec = {"path": "spec/alpha[]/image"}
    return rendered({**found, "fieldSpecs": [spec]})


@st.composite
def image(draw: Draw) -> dict[str, Any]:
    """An entry of `images`."""
    found = draw(st.sampled_from(("nginx", "example.com:5000/app/web", "redis", "busybox", "ngin.", "new")))
    return without_none(
        name=found,
        newName=draw(some(st.sampled_from(("mirror/nginx", "r:5000/x")))),
        newTag=draw(some(st.sampled_from(("1.0", "v2", "latest")))),
        digest=draw(some(st.just("sha256:feed"), 4)),
        tagSuffix=draw(some(st.just("-x"), 5)),
    )


@st.composite
def var(draw: Draw, found: Objects) -> dict[str, Any]:
    """The only entry of `vars`."""
    one = draw(st.sampled_from(found))
    reference = {"apiVersion": one["apiVersion"], "kind": one["kind"], "name": one["metadata"]["name"]}
    path = draw(some(st.sampled_from(("metadata.name", "metadata.labels.app", "data.alpha", "spec.replicas"))))
    return without_none(name="NAME", objref=reference, fieldref={"fieldpath": path} if path else None)


@st.composite
def label_entry(draw: Draw) -> dict[str, Any]:
    """An entry of `labels`."""
    return without_none(
        pairs=draw(labels),
        includeSelectors=draw(some(st.booleans(), 3)),
        includeTemplates=draw(some(st.booleans(), 3)),
        fields=draw(some(st.just([{"path": "spec/alpha", "create": True, "kind": "Widget"}]), 6)),
    )


@st.composite
def transformations(draw: Draw, found: Objects, below: dict[str, Any], least: int = 0) -> dict[str, Any]:
    """The fields of a kustomization but for what it builds on; `below` are those of what it builds on."""
    fields: dict[str, st.SearchStrategy[Any]] = {
        "namePrefix": st.sampled_from(("dev-", "x")),
        "nameSuffix": st.sampled_from(("-v1", "-2")),
        "namespace": st.sampled_from(NAMESPACES),
        "commonLabels": labels,
        "labels": st.lists(label_entry(), min_size=1, max_size=2),
        "commonAnnotations": st.dictionaries(st.sampled_from(("alpha", "note")), texts, min_size=1),
        "images": st.lists(image(), min_size=1, max_size=2),
        "configMapGenerator": generators(below.get("configMapGenerator"), is_secret=False),
        "secretGenerator": generators(below.get("secretGenerator"), is_secret=True),
        "generatorOptions": generator_options(),
        "patches": st.lists(patch(found), min_size=1, max_size=2),
        "patchesStrategicMerge": st.lists(strategic(found), min_size=1, max_size=2),
        "replacements": st.lists(replacement(found), min_size=1, max_size=2),
        "vars": var(found).map(lambda one: [one]),
        "transformers": st.lists(plugin(), min_size=1, max_size=2),
        "buildMetadata": st.sampled_from((["originAnnotations"], ["transformerAnnotations"], ["managedByLabel"],
                                          ["originAnnotations", "transformerAnnotations"])),
        "sortOptions": st.sampled_from(({"order": "fifo"}, {"order": "legacy"},
                                        {"order": "legacy", "legacySortOptions": {"orderFirst": ["Service"]}})),
    }  # fmt: skip
    workloads = [item["metadata"]["name"] for item in found if item["kind"] in WORKLOADS]
    if workloads:
        fields["replicas"] = st.sampled_from(workloads).map(lambda name: [{"name": name, "count": 5}])
    chosen = draw(st.lists(st.sampled_from(sorted(fields)), min_size=least, max_size=4, unique=True))
    return {name: draw(fields[name]) for name in chosen}
