"""ConfigMaps and Secrets that reconciled objects refer to: a change of one that carries the label wakes them at once.

Source: "Reacting immediately to configuration dependencies" in the documents of Kustomization and HelmRelease. Only
the metadata of labelled objects is watched, and nothing before an object refers to any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from fluxtui.api.kinds import Category, Kind
from fluxtui.engine.runtime.cache import Cache
from fluxtui.engine.runtime.objects import Key, Object, key_of
from fluxtui.engine.runtime.reconciler import WatchSource

CONFIG_MAP = Kind("", ("v1",), "ConfigMap", "configmaps", "cm", Category.OTHER)
SECRET = Kind("", ("v1",), "Secret", "secrets", "sec", Category.OTHER)
KINDS = {kind.kind: kind for kind in (CONFIG_MAP, SECRET)}

Config: TypeAlias = tuple[str, Key]
"""Which ConfigMap or Secret: its kind and its key."""


def watches(label_selector: str, users_of: Callable[[Config], Iterable[Key]]) -> tuple[WatchSource, ...]:
    """What a controller has to watch; `users_of` gives the objects that refer to a ConfigMap or Secret."""

    def changed(kind: Kind) -> Callable[[Object | None, Object | None], Iterable[Key]]:
        def requests_for(old: Object | None, new: Object | None) -> Iterable[Key]:
            if old is not None and new is not None and _version(old) == _version(new):
                return ()
            return users_of((kind.kind, key_of(new or old or {})))

        return requests_for

    return tuple(WatchSource(kind, changed(kind), label_selector) for kind in KINDS.values())


def demand(cache: Cache, configs: Iterable[Config]) -> None:
    """See to it that the kinds of what is referred to are watched."""
    for kind in {kind for kind, _ in configs}:
        cache.demand(KINDS[kind])


def versions(cache: Cache, configs: Iterable[Config]) -> dict[Config, str]:
    """The resourceVersion of each as last seen, empty for what does not exist or is not selected; kinds that are not
    watched are left out.
    """
    watched = ((kind, key) for kind, key in configs if cache.watches(KINDS[kind]))
    return {(kind, key): _version(cache.get(KINDS[kind], key) or {}) for kind, key in watched}


def kube_config(namespace: str, spec: Object) -> set[Config]:
    """What the `kubeConfig` of a spec refers to."""
    found = spec.get("kubeConfig") or {}
    fields = (("secretRef", SECRET), ("configMapRef", CONFIG_MAP))
    return {(kind.kind, Key(namespace, found[field].get("name", ""))) for field, kind in fields if found.get(field)}


def listed(namespace: str, references: Iterable[Object]) -> set[Config]:
    """What a list of references with kind and name refers to."""
    return {(item["kind"], Key(namespace, item.get("name", ""))) for item in references if item.get("kind") in KINDS}


def _version(obj: Object) -> str:
    return str((obj.get("metadata") or {}).get("resourceVersion", ""))
