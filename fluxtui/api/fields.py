"""Building blocks of the typed kinds: constrained texts, references, and the documentation of a field.

A field's constraints serve twice: msgspec checks them when an object is decoded, and `fluxtui.api.crds` writes them
into the CRD.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta


def doc(description: str, *, default: Any = None) -> Meta:
    """Describe a field for `kubectl explain`; `default` is what the API server fills in."""
    return Meta(description=description, extra_json_schema=None if default is None else {"default": default})


Duration = Annotated[str, Meta(pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$")]
ShortDuration = Annotated[str, Meta(pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m))+$")]
Name = Annotated[str, Meta(min_length=1, max_length=253)]
Namespace = Annotated[str, Meta(min_length=1, max_length=63)]
Timestamp = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""RFC 3339, UTC, whole seconds."""


class Spec(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel"):
    """Base of everything under `spec`: read, never written."""


class Status(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel"):
    """Base of everything under `status`."""


class LocalObjectReference(Spec):
    """An object of the same namespace."""

    name: Annotated[str, doc("Name of the referent.")]


class SecretKeyReference(Spec):
    """A key of a Secret of the same namespace."""

    name: Annotated[str, doc("Name of the Secret.")]
    key: Annotated[str, doc("Key in the Secret, by default 'value'.")] = ""


class DependencyReference(Spec):
    """An object of the same kind that must be ready first."""

    name: Annotated[str, doc("Name of the referent.")]
    namespace: Annotated[str, doc("Namespace of the referent, by default the object's own.")] = ""
    ready_expr: Annotated[str, doc("CEL expression that replaces the built-in readiness check.")] = ""


class Selector(Spec):
    """Which objects of a build a patch or rule concerns: regular expressions and label selectors."""

    group: Annotated[str, doc("API group.")] = ""
    version: Annotated[str, doc("API version.")] = ""
    kind: Annotated[str, doc("Kind.")] = ""
    name: Annotated[str, doc("Name.")] = ""
    namespace: Annotated[str, doc("Namespace.")] = ""
    label_selector: Annotated[str, doc("Label selector expression.")] = ""
    annotation_selector: Annotated[str, doc("Label selector expression, matched with annotations.")] = ""


class Patch(Spec):
    """An inline patch and the objects it is for."""

    patch: Annotated[str, doc("Strategic merge patch, or JSON 6902 patch as a list of operations.")]
    target: Annotated[Selector | None, doc("Objects the patch is applied to.")] = None


class Image(Spec):
    """An image to be replaced by name, tag or digest."""

    name: Annotated[str, doc("Image name without tag.")]
    new_name: Annotated[str, doc("Replaces the name.")] = ""
    new_tag: Annotated[str, doc("Replaces the tag.")] = ""
    digest: Annotated[str, doc("Replaces the tag; a newTag given beside it is ignored.")] = ""


class CommonMetadata(Spec):
    """Labels and annotations set on every object of a build."""

    labels: Annotated[dict[str, str], doc("Labels to add.")] = msgspec.field(default_factory=dict)
    annotations: Annotated[dict[str, str], doc("Annotations to add.")] = msgspec.field(default_factory=dict)


class IgnoreRule(Spec):
    """JSON pointers left out of drift detection and apply."""

    paths: Annotated[list[str], doc("JSON pointers (RFC 6901).")]
    target: Annotated[Selector | None, doc("Objects the rule is for, by default all.")] = None


class KubeConfigReference(Spec):
    """Where to find the kubeconfig of a remote cluster."""

    RULES: ClassVar = (
        (
            "has(self.configMapRef) || has(self.secretRef)",
            "exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified",
        ),
        (
            "!has(self.configMapRef) || !has(self.secretRef)",
            "exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified",
        ),
    )

    secret_ref: Annotated[SecretKeyReference | None, doc("Secret that holds a kubeconfig.")] = None
    config_map_ref: Annotated[LocalObjectReference | None, doc("ConfigMap that names a cloud provider's cluster.")] = (
        None
    )


class CustomHealthCheck(Spec):
    """CEL expressions that tell the health of a custom resource."""

    api_version: Annotated[str, doc("API version of the custom resource.")]
    current: Annotated[str, doc("True when the desired state is reached.")]
    kind: Annotated[str, doc("Kind of the custom resource.")] = ""
    in_progress: Annotated[str, doc("True while the desired state is not yet reached.")] = ""
    failed: Annotated[str, doc("True when the desired state can't be reached.")] = ""


class InventoryEntry(Status):
    """One applied object."""

    id: str
    """`<namespace>_<name>_<group>_<kind>`, as cli-utils' object metadata."""
    v: str
    """API version without the group."""


class Inventory(Status):
    """The objects an applier manages."""

    entries: list[InventoryEntry] = msgspec.field(default_factory=list)
