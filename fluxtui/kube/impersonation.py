"""Acting as somebody else: the headers, from the kubeconfig or from the caller.

Source: kubernetes.io/docs/reference/access-authn-authz/user-impersonation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fluxtui.kube.errors import ConfigError


def impersonation_headers(user: Mapping[str, Any], name: str = "", groups: Sequence[str] = ()) -> list[tuple[str, str]]:
    """(header, value) pairs: `name` and `groups` when given, else what the kubeconfig's `user` says.

    Raises ConfigError for groups without a user, and for values that no header can carry.
    """
    if groups and not name:
        raise ConfigError("impersonation of groups needs a user")
    if name:
        headers = [("Impersonate-User", name), *(("Impersonate-Group", group) for group in groups)]
    elif user.get("as"):
        headers = [("Impersonate-User", user["as"])]
        if user.get("as-uid"):
            headers.append(("Impersonate-Uid", user["as-uid"]))
        headers += [("Impersonate-Group", group) for group in user.get("as-groups", ())]
        for key, values in (user.get("as-user-extra") or {}).items():
            headers += [(f"Impersonate-Extra-{quote(key, safe='')}", value) for value in values]
    else:
        return []
    for header, value in headers:
        if any(ord(char) < 32 or ord(char) == 127 for char in value):
            raise ConfigError(f"impersonation: {header} contains control characters")
    return headers
