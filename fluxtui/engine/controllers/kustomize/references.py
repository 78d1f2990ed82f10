"""Which Kustomizations refer to a source, another Kustomization, a ConfigMap or a Secret, whose change wakes them.

Source: the indexes and predicates of kustomize-controller. Beyond upstream, a dependency wakes its dependents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable

from fluxtui.api.kinds import KUSTOMIZATION, Kind
from fluxtui.api.meta import READY, RECONCILING
from fluxtui.engine.controllers.kustomize.sources import KINDS, artifact_of
from fluxtui.engine.runtime import configs
from fluxtui.engine.runtime.configs import Config
from fluxtui.engine.runtime.objects import Key, Object, generation_of, key_of
from fluxtui.engine.runtime.reconciler import WatchSource
from fluxtui.engine.runtime.reconciliation import PROGRESSING

Find = Callable[[Key], Object | None]
Demand = Callable[[Iterable[Config]], None]

_Target = tuple[str, Key]


class References:
    """An index from the referred to those who refer, kept by watching the Kustomizations themselves."""

    def __init__(self, find: Find, demand: Demand) -> None:
        """`find` gives a Kustomization as last seen; `demand` hears of the ConfigMaps and Secrets that are referred to,
        and has to be quick.
        """
        self._find = find
        self._demand = demand
        self._users: dict[_Target, set[Key]] = defaultdict(set)

    def watches(self, configs_label_selector: str) -> tuple[WatchSource, ...]:
        """What a controller has to watch, of ConfigMaps and Secrets only what a selector matches."""
        return (
            WatchSource(KUSTOMIZATION, self._kustomization_changed),
            *(WatchSource(kind, self._source_changed(kind), wants=self._wants) for kind in KINDS.values()),
            *configs.watches(configs_label_selector, lambda config: self._users.get(config, ())),
        )

    def _kustomization_changed(self, old: Object | None, new: Object | None) -> Iterable[Key]:
        before, after = _targets(old), _targets(new)
        if before != after:
            key = key_of(new or old or {})
            for target in before - after:
                self._users[target].discard(key)
                if not self._users[target]:
                    del self._users[target]
            for target in after - before:
                self._users[target].add(key)
            self._demand(target for target in after - before if target[0] in configs.KINDS)
        if new is None or old is None or _readiness(old) == _readiness(new):
            return ()
        waiting = self._users.get((KUSTOMIZATION.kind, key_of(new)), ())
        return [key for key in waiting if _waits(self._find(key), new)]

    def _source_changed(self, kind: Kind) -> Callable[[Object | None, Object | None], Iterable[Key]]:
        def changed(old: Object | None, new: Object | None) -> Iterable[Key]:
            artifact, before = artifact_of(new), artifact_of(old)
            if new is None or artifact is None:
                return ()
            # The same revision in other bytes: another controller has made it anew.
            if before is not None and (before.revision, before.digest) == (artifact.revision, artifact.digest):
                return ()
            users = self._users.get((kind.kind, key_of(new)), ())
            return [key for key in users if not _has_attempted(self._find(key), artifact.revision)]

        return changed

    def _wants(self, key: Key, source: Object) -> bool:
        """Whether a Kustomization has yet to apply what a source has."""
        artifact = artifact_of(source)
        return artifact is not None and not _has_attempted(self._find(key), artifact.revision)


def _targets(obj: Object | None) -> set[_Target]:
    """What a Kustomization, decoded or not, refers to."""
    spec = (obj or {}).get("spec") or {}
    namespace = key_of(obj or {}).namespace
    found = {_source(obj or {}), *configs_of(obj or {})}
    for dependency in spec.get("dependsOn") or ():
        found.add((KUSTOMIZATION.kind, Key(dependency.get("namespace") or namespace, dependency.get("name", ""))))
    return found if obj is not None else set()


def configs_of(obj: Object) -> Collection[Config]:
    """The ConfigMaps and Secrets that a Kustomization refers to."""
    spec, namespace = obj.get("spec") or {}, key_of(obj).namespace
    found = configs.kube_config(namespace, spec) if spec.get("kubeConfig") else set()
    if spec.get("postBuild"):
        found |= configs.listed(namespace, spec["postBuild"].get("substituteFrom") or ())
    keys = (spec.get("decryption") or {}).get("secretRef")
    if keys:
        found.add((configs.SECRET.kind, Key(namespace, keys.get("name", ""))))
    return found


def _readiness(obj: Object) -> tuple[object, ...]:
    status = obj.get("status") or {}
    return (
        generation_of(obj),
        status.get("observedGeneration"),
        status.get("lastAppliedRevision"),
        _is(obj, READY),
    )


def _is_ready(obj: Object) -> bool:
    """Whether an object is ready in its current generation."""
    return _is(obj, READY) and (obj.get("status") or {}).get("observedGeneration") == generation_of(obj)


def _waits(obj: Object | None, dependency: Object) -> bool:
    """Whether an object may wait for the dependency: it is not ready, or is yet to apply the same source's revision.

    The latter because it may be looking at its dependencies at this moment, and have said nothing of it.
    """
    if obj is None:
        return False
    return not _is_ready(obj) or (_source(obj) == _source(dependency) and _applied(obj) != _applied(dependency))


def _source(obj: Object) -> tuple[str, Key]:
    source = (obj.get("spec") or {}).get("sourceRef") or {}
    return source.get("kind", ""), Key(source.get("namespace") or key_of(obj).namespace, source.get("name", ""))


def _applied(obj: Object) -> str:
    return str((obj.get("status") or {}).get("lastAppliedRevision") or "")


def _has_attempted(obj: Object | None, revision: str) -> bool:
    if obj is None:
        return True
    attempted = (obj.get("status") or {}).get("lastAttemptedRevision") == revision
    return attempted and (_is(obj, READY) or _is(obj, RECONCILING, PROGRESSING))


def _is(obj: Object, type: str, reason: str = "") -> bool:
    """Whether a condition is true, for a reason if one is given."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    found = [item for item in conditions if item.get("type") == type and item.get("status") == "True"]
    return any(not reason or item.get("reason") == reason for item in found)
