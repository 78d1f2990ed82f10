"""`labels`, `commonLabels` and `commonAnnotations`: entries added to maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fluxtui.kustomize.configuration import Configuration
from fluxtui.kustomize.fieldspecs import FieldSpec, Specs, merged, set_entry, visit
from fluxtui.kustomize.kustomization import Label
from fluxtui.kustomize.resources import Resources
from fluxtui.kustomize.scalars import Shared, shared

METADATA_LABELS = FieldSpec(path="metadata/labels", create=True)


def specs_of(label: Label, configuration: Configuration) -> Specs:
    """The fields that an entry of `labels` adds to. Raises FieldError when they contradict each other."""
    specs = merged(label.fields, configuration.labels)
    if label.include_selectors:
        return merged(specs, configuration.common_labels)
    if label.include_templates:
        specs = merged(specs, configuration.template_labels)
    return merged(specs, (METADATA_LABELS,))


def add_entries(resources: Resources, pairs: Mapping[str, str], specs: Specs) -> None:
    """Add entries to the maps at some fields, in place of those of the same key. Raises BuildError."""
    if not pairs:
        return
    entries = sorted(pairs.items())

    for resource in resources:
        gvk = resource.gvk
        fitting = [spec for spec in specs if spec.fits(gvk)]
        values = [(name, shared(text)) for name, text in entries] if len(fitting) > 1 else entries

        def act(container: Any, key: Any, values: Sequence[tuple[str, str]] = values) -> None:
            for name, text in values:
                set_entry(container, key, name, text)

        for spec in fitting:
            visit(resource.object, spec, act, "map")
        resource.shared += [text for _, text in values if isinstance(text, Shared)]
