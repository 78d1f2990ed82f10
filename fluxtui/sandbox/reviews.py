"""Who may do what: denials that are switched on per cluster, and the reviews that tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fluxtui.sandbox.kinds import Kind
from fluxtui.sandbox.statuses import forbidden

Object = dict[str, Any]
USER = "admin"


class Denial(msgspec.Struct, frozen=True):
    """Something nobody may do; an empty field is any."""

    verb: str = ""
    group: str | None = None
    plural: str = ""
    namespace: str = ""


class Access:
    """The rights on one cluster: everything is allowed but what is denied."""

    def __init__(self) -> None:
        self._denials: list[Denial] = []

    def deny(self, verb: str = "", plural: str = "", *, group: str | None = None, namespace: str = "") -> Denial:
        """Forbid a verb on a resource from now on; empty means any."""
        denial = Denial(verb, group, plural, namespace)
        self._denials.append(denial)
        return denial

    def allow(self, denial: Denial) -> None:
        """Take a denial back."""
        self._denials.remove(denial)

    def check(self, verb: str, kind: Kind, namespace: str, name: str, part: str, headers: Mapping[str, str]) -> None:
        """Raise StatusError 403 when a request is denied."""
        if self._denied(verb, kind.group, kind.plural, namespace):
            user = headers.get("Impersonate-User", USER)
            where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
            resource = f"{kind.plural}/{part}" if part else kind.plural
            message = f'User "{user}" cannot {verb} resource "{resource}" in API group "{kind.group}"{where}'
            raise forbidden(name, kind.group, kind.plural, message)

    def review(self, kind: str, body: Object, headers: Mapping[str, str]) -> Object:
        """Answer a SelfSubjectAccessReview, SelfSubjectRulesReview or SelfSubjectReview."""
        answer = {**body, "metadata": body.get("metadata") or {}}
        if kind == "SelfSubjectReview":
            answer["status"] = {
                "userInfo": {"username": headers.get("Impersonate-User", USER), "groups": ["system:masters"]}
            }
        elif kind == "SelfSubjectRulesReview":
            rule = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
            answer["status"] = {"resourceRules": [rule], "nonResourceRules": [], "incomplete": bool(self._denials)}
        else:
            wanted = (body.get("spec") or {}).get("resourceAttributes") or {}
            denied = self._denied(
                wanted.get("verb", ""), wanted.get("group", ""), wanted.get("resource", ""), wanted.get("namespace", "")
            )
            answer["status"] = {"allowed": not denied, "reason": "denied by the sandbox" if denied else ""}
        return answer

    def _denied(self, verb: str, group: str, plural: str, namespace: str) -> bool:
        return any(
            item.verb in ("", verb)
            and item.group in (None, group)
            and item.plural in ("", plural)
            and item.namespace in ("", namespace)
            for item in self._denials
        )
