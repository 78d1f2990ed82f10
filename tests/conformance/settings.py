"""Random files that a kustomization names beside its resources: configurations, crds, schemas, patches, plug-ins.

`additions` are fields of a kustomization with the files that they need, see `kustomizations`.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.conformance import kustomizations as own
from tests.conformance.overlays import NAMESPACES, Draw, Files, names, rendered, some
from tests.conformance.overlays import without_none as fields_of

Objects = list[dict[str, Any]]
Addition = tuple[Any, Files]
"""The value of a field, and files beside the kustomization."""

PATHS = (
    *("metadata/name", "metadata/labels", "metadata/annotations", "metadata/namespace", "spec/alpha", "spec/k1/alpha"),
    *("spec/template/metadata/labels", "spec/selector/matchLabels", "spec/template/spec/containers[]/image"),
    *("spec/template/spec/containers/image", "spec/replicas", "data/alpha", "spec/alpha[]/k1", "spec/x.y\\/z", "spec"),
)
KINDS = ("Deployment", "Widget", "Service", "ConfigMap", "Secret", "RoleBinding", "")


def field_spec(paths: tuple[str, ...] = PATHS) -> st.SearchStrategy[dict[str, Any]]:
    """A field of some kinds."""
    return st.builds(
        lambda path, kind, group, create: fields_of(
            path=path, kind=kind or None, group=group if kind in ("Deployment", "Widget") else None, create=create
        ),
        st.sampled_from(paths),
        st.sampled_from(KINDS),
        st.sampled_from((None, None, "apps", "example.com")),
        st.sampled_from((None, True, True, False)),
    )


def specs_of(*paths: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """One or two of some fields."""
    return st.lists(field_spec(paths), min_size=1, max_size=2)


@st.composite
def configurations(draw: Draw, place: str) -> Addition:
    """Files of field specs."""
    entries = specs_of(*PATHS)
    referring = specs_of("spec/alpha", "spec/k1", "data/alpha", "spec/alpha/name")
    optional: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(("namePrefix", "nameSuffix", "commonLabels", "labels", "templateLabels"), entries),
        **dict.fromkeys(("commonAnnotations", "images", "replicas", "namespace", "varReference"), entries),
        "nameReference": st.lists(
            st.builds(
                lambda kind, specs: {"kind": kind, "fieldSpecs": specs},
                st.sampled_from(("ConfigMap", "Secret", "Widget", "Deployment")),
                referring,
            ),
            min_size=1,
            max_size=2,
        ),
    }
    files = {}
    for number in range(draw(st.integers(1, 2))):
        chosen = draw(st.lists(st.sampled_from(sorted(optional)), min_size=1, max_size=2, unique=True))
        files[f"{place}/specs-{number}.yaml"] = rendered({name: draw(optional[name]) for name in chosen})
    return [name.rpartition("/")[2] for name in files], files


@st.composite
def crds(draw: Draw, place: str) -> Addition:
    """Definitions of a custom kind that say what some of its fields hold."""
    facts: tuple[dict[str, Any], ...] = (
        {"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "ConfigMap"},
        {"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "Secret",
         "x-kubernetes-object-ref-name-key": "k1"},
        {"x-kubernetes-annotation": ""}, {"x-kubernetes-label-selector": ""}, {"x-kubernetes-identity": ""},
        {"type": "object"},
    )  # fmt: skip
    inner = draw(st.dictionaries(st.sampled_from(("alpha", "k1")), st.sampled_from(facts), max_size=2))
    properties = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": {"$ref": "com.example.v1.Spec"},
    }
    found = {
        f"com.example.v1.{draw(st.sampled_from(('Widget', 'Deployment')))}": {"Schema": {"properties": properties}},
        "com.example.v1.Spec": {"Schema": {"properties": inner}},
    }
    return ["crd.json"], {f"{place}/crd.json": json.dumps(found)}


@st.composite
def openapi(draw: Draw, place: str) -> Addition:
    """The built-in schema by name, or a schema of a custom kind."""
    if draw(st.booleans()):
        return {"version": "v1.21.2"}, {}
    key = draw(st.sampled_from(("name", "k1")))
    items = {
        "type": "array",
        "items": {"type": "object", "properties": {"name": {"type": "string"}}},
        **draw(st.sampled_from(({"x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": key},
                                {"x-kubernetes-patch-strategy": "merge"}, {"x-kubernetes-patch-merge-key": key}, {},
                                {"x-kubernetes-list-map-keys": [key], "x-kubernetes-list-type": "map"}))),
    }  # fmt: skip
    kind = {"group": "example.com", "kind": "Widget", "version": "v1"}
    spec = {"type": "object", "properties": {"alpha": items, "k1": items}}
    widget = {"type": "object", "properties": {"spec": spec}, "x-kubernetes-group-version-kind": [kind]}
    found: dict[str, Any] = {"definitions": {"com.example.v1.Widget": widget}}
    if draw(st.booleans()):
        scope = draw(st.sampled_from(("", "namespaces/{namespace}/")))
        use = {"get": {"x-kubernetes-action": "get", "x-kubernetes-group-version-kind": kind}}
        found["paths"] = {f"/apis/example.com/v1/{scope}widgets/{{name}}": use}
    return {"path": "schema.json"}, {f"{place}/schema.json": json.dumps(found)}


@st.composite
def patches(draw: Draw, found: Objects, place: str) -> Addition:
    """Entries of `patches` whose text is in a file of one or several documents."""
    entries, files = [], {}
    for number in range(draw(st.integers(1, 2))):
        entry = draw(own.patch(found))
        text = entry.pop("patch")
        if not text.startswith("- ") and draw(st.booleans()):
            text += "---\n" + draw(own.strategic(found))
        files[f"{place}/patch-{number}.yaml"] = text
        entries.append({"path": f"patch-{number}.yaml", **entry})
    return entries, files


@st.composite
def strategic_files(draw: Draw, found: Objects, place: str) -> Addition:
    """Entries of `patchesStrategicMerge`, files of several patches among them."""
    files = {f"{place}/merge-0.yaml": "---\n".join(draw(st.lists(own.strategic(found), min_size=1, max_size=2)))}
    return ["merge-0.yaml", draw(own.strategic(found))] if draw(st.booleans()) else ["merge-0.yaml"], files


@st.composite
def json_patches(draw: Draw, found: Objects, place: str) -> Addition:
    """Entries of `patchesJson6902`, inline or from a file of YAML or JSON."""
    one = draw(st.sampled_from(found))
    group, _, version = one["apiVersion"].rpartition("/")
    target = fields_of(
        group=group or None,
        version=draw(some(st.just(version))),
        kind=draw(some(st.just(one["kind"]))),
        name=one["metadata"]["name"],
        namespace=draw(some(st.sampled_from(NAMESPACES), 5)),
    )
    text = draw(own.operations(one))
    if draw(st.booleans()):
        return [{"target": target, "patch": text}], {}
    return [{"target": target, "path": "operations.yaml"}], {f"{place}/operations.yaml": text}


@st.composite
def replacements(draw: Draw, found: Objects, place: str) -> Addition:
    """Replacements in a file, one alone or a list."""
    several = draw(st.lists(own.replacement(found), min_size=1, max_size=2))
    text = rendered(several if len(several) > 1 or draw(st.booleans()) else several[0])
    return [{"path": "replacements.yaml"}], {f"{place}/replacements.yaml": text}


def _builtin(kind: str, called: str, /, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "builtin", "kind": kind, "metadata": {"name": called}, **fields_of(**fields)}


@st.composite
def transformer(draw: Draw, found: Objects, name: str) -> dict[str, Any]:
    """The configuration of a built-in transformer of the rarer kinds."""
    one = draw(st.sampled_from(found))
    kind = draw(st.sampled_from(("Patch", "PatchJson6902", "PatchStrategicMerge", "Replacement", "ReplicaCount",
                                 "ValueAdd", "PrefixSuffix", "Hash", "Namespace", "ImageTag")))  # fmt: skip
    fields: dict[str, Any] = {}
    if kind == "Patch":
        fields = draw(own.patch(found))
    elif kind == "PatchJson6902":
        group = one["apiVersion"].rpartition("/")[0]
        target = fields_of(group=group or None, kind=one["kind"], name=one["metadata"]["name"])
        fields = {"target": target, "jsonOp": draw(own.operations(one))}
    elif kind == "PatchStrategicMerge":
        fields = {"patches": draw(own.strategic(found))}
    elif kind == "Replacement":
        fields = {"replacements": draw(st.lists(own.replacement(found), min_size=1, max_size=2))}
    elif kind == "ReplicaCount":
        fields = {"replica": {"name": draw(names), "count": draw(st.integers(0, 5))},
                  "fieldSpecs": draw(specs_of("spec/replicas", "spec/alpha"))}  # fmt: skip
    elif kind == "ValueAdd":
        path = draw(st.sampled_from(("metadata/namespace", "metadata/annotations/note", "spec/alpha", "data/path")))
        selector = fields_of(kind=draw(some(st.just(one["kind"]))), name=draw(some(st.just(one["metadata"]["name"]))))
        where = {"selector": selector, "fieldPath": path, "filePathPosition": draw(some(st.integers(0, 3)))}
        fields = {"value": draw(st.sampled_from(("shop", "v1"))), "targets": [fields_of(**where)]}
    elif kind == "PrefixSuffix":
        fields = {"prefix": draw(some(st.just("p-"))), "suffix": draw(some(st.just("-s"))),
                  "fieldSpecs": draw(specs_of("metadata/name", "spec/alpha"))}  # fmt: skip
    elif kind == "Namespace":
        made = _builtin("NamespaceTransformer", name, unsetOnly=draw(some(st.booleans())),
                        setRoleBindingSubjects=draw(some(st.sampled_from(("none", "allServiceAccounts")))))  # fmt: skip
        made["metadata"]["namespace"] = draw(st.sampled_from(NAMESPACES))
        return made
    elif kind == "ImageTag":
        specs = specs_of("spec/template/spec/containers[]/image", "spec/alpha")
        fields = {"imageTag": draw(own.image()), "fieldSpecs": draw(specs)}
    return _builtin(f"{kind}Transformer", name, **fields)


@st.composite
def transformers(draw: Draw, found: Objects, place: str) -> Addition:
    """Transformers in a file of several, in a directory, or one inline."""
    made = [draw(transformer(found, name)) for name in draw(st.lists(names, min_size=1, max_size=2, unique=True))]
    return _placed(draw, made, place, "transformers")


@st.composite
def generators(draw: Draw, place: str) -> Addition:
    """Generators in a file, in a directory, or one inline."""
    made = []
    for name in draw(st.lists(st.sampled_from(("made", "gen-a")), min_size=1, max_size=2, unique=True)):
        is_secret = draw(st.booleans())
        fields = draw(own.generator((), is_secret=is_secret))
        kept = draw(some(st.sampled_from(("merge", "replace", "create")), 12))
        fields = {**fields, "behavior": kept, "name": draw(some(st.just(fields["name"])))}
        made.append(_builtin("SecretGenerator" if is_secret else "ConfigMapGenerator", name, **fields))
    return _placed(draw, made, place, "generators")


@st.composite
def validators(draw: Draw, found: Objects, place: str) -> Addition:
    """Something that must not change anything, which it seldom does."""
    path = draw(st.sampled_from(("absent/here", "spec/alpha/absent/here", "metadata/absent")))
    spec = {"path": path, "create": draw(st.integers(1, 12)) == 1}
    made = _builtin("LabelTransformer", "v", labels={"app": "a"}, fieldSpecs=[spec])
    return _placed(draw, [made], place, "validators")


def _placed(draw: Any, made: list[dict[str, Any]], place: str, name: str) -> Addition:
    text = "---\n".join(rendered(item) for item in made)
    where = draw(st.sampled_from(("file", "directory", "inline")))
    if where == "inline":
        return [rendered(item) for item in made], {}
    if where == "file":
        return [f"{name}.yaml"], {f"{place}/{name}.yaml": text}
    inner = {f"{place}/{name}/{name}.yaml": text}
    kustomization: dict[str, Any] = {"resources": [f"{name}.yaml"]}
    if draw(st.integers(1, 3)) == 1:
        kustomization["commonAnnotations"] = {"note": "x"}
    return [name], {**inner, f"{place}/{name}/kustomization.yaml": rendered(kustomization)}


def variables(found: Objects) -> st.SearchStrategy[Any]:
    """Entries of `vars`, of which one is used where texts have `$(NAME)`."""
    entry = st.builds(
        lambda name, one, path: {
            "name": name,
            "objref": {"apiVersion": one["apiVersion"], "kind": one["kind"], "name": one["metadata"]["name"]},
            "fieldref": {"fieldpath": path},
        },
        st.sampled_from(("NAME", "OTHER")),
        st.sampled_from(found),
        st.sampled_from(
            ("metadata.name", "metadata.namespace", "data.alpha", "spec.template.spec.containers[0].image")
        ),
    )
    return st.lists(entry, min_size=1, max_size=2, unique_by=lambda item: str(item["name"]))


@st.composite
def additions(draw: Draw, found: Objects, place: str) -> tuple[dict[str, Any], Files]:
    """Fields that name files, and those files, for the kustomization in a directory."""
    options: dict[str, st.SearchStrategy[Addition]] = {
        "configurations": configurations(place),
        "crds": crds(place),
        "openapi": openapi(place),
        "patches": patches(found, place),
        "patchesStrategicMerge": strategic_files(found, place),
        "patchesJson6902": json_patches(found, place),
        "replacements": replacements(found, place),
        "transformers": transformers(found, place),
        "generators": generators(place),
        "validators": validators(found, place),
        "vars": variables(found).map(lambda value: (value, {})),
    }
    fields: dict[str, Any] = {}
    files: Files = {}
    for name in draw(st.lists(st.sampled_from(sorted(options)), max_size=2, unique=True)):
        fields[name], added = draw(options[name])
        files.update(added)
    return fields, files
