"""A kubeconfig that somebody else wrote, as text: only what it says itself counts.

It may start no program and read no file of this machine. Source: the kubeconfig handling of fluxcd/pkg
`runtime/client`, which refuses plugins unless told otherwise.
"""

from __future__ import annotations

from typing import Any

from fluxtui.kube import configfile
from fluxtui.kube.configfile import ConfigFile, Entry
from fluxtui.kube.errors import ConfigError
from fluxtui.kube.kubeconfig import Context

_FILES = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}
_PROGRAMS = ("exec", "auth-provider")


def context_of(text: bytes, where: str, *, cluster_only: bool = False) -> Context:
    """The current context of a kubeconfig; `where` is what errors call it, and the id of the context.

    With `cluster_only`, what it says of a user does not count. Raises ConfigError for a kubeconfig without a usable
    current context, and for one that names files or programs.
    """
    file = configfile.parse(text, f"/{where}")
    if not file.current:
        raise ConfigError(f"{where}: has no current-context")
    context = _entry(file, "context", file.current, where)
    cluster_name, user_name = str(context.get("cluster", "")), str(context.get("user", ""))
    cluster = _entry(file, "cluster", cluster_name, where)
    user = _entry(file, "user", user_name, where) if user_name and not cluster_only else {}
    for kind, content in (("cluster", cluster), ("user", user)):
        for field in _FILES[kind]:
            if content.get(field):
                raise ConfigError(f"{where}: {kind} names a file in {field}, which is not read; use {field}-data")
    for field in _PROGRAMS:
        if user.get(field):
            raise ConfigError(f"{where}: user needs a program ({field}), which is not started")
    return Context(
        id=where,
        name=file.current,
        source=where,
        server=str(cluster["server"]).rstrip("/"),
        namespace=str(context.get("namespace") or "default"),
        cluster=cluster,
        user=user,
        user_name=user_name,
        user_source=where,
    )


def _entry(file: ConfigFile, kind: str, name: str, where: str) -> dict[str, Any]:
    entries = {"context": file.contexts, "cluster": file.clusters, "user": file.users}[kind]
    found: Entry | None = entries.get(name)
    if found is None:
        raise ConfigError(f"{where}: there is no {kind} named {name!r}")
    if found.error:
        raise ConfigError(f"{where}: {found.error.removeprefix(f'/{where}: ')}")
    return found.content
