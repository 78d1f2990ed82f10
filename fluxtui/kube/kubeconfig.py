"""Which clusters there are: kubeconfig files found, merged, and turned into contexts with names of their own.

Several files given by the user stay separate sets; the files of $KUBECONFIG are one set, merged as kubectl does: the
first file to name a cluster, user or context wins, and relative paths start from the file they stand in.
Source: kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig.
"""

from __future__ import annotations

import fnmatch
import glob
import os
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

import msgspec

from fluxtui.kube import configfile
from fluxtui.kube.configfile import ConfigFile
from fluxtui.kube.errors import ConfigError

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
IN_CLUSTER = "in-cluster"
_OIDC_TOKENS = ("id-token", "refresh-token", "access-token", "expiry")


class Context(msgspec.Struct, frozen=True, eq=False):
    """One context: a cluster and who we are there.

    Two contexts are equal when a connection made for one serves the other; tokens that an OIDC login renews in the
    file do not count. Neither repr shows a secret.
    """

    id: str
    """Unique over all files: the name, with `@` and a short file suffix where two files use the same name."""
    name: str
    source: str
    """Absolute path of the file, or `in-cluster`."""
    server: str
    """URL of the API server, without a slash at its end."""
    namespace: str = "default"
    cluster: dict[str, Any] = {}
    """The cluster's fields as in the file, paths absolute."""
    user: dict[str, Any] = {}
    """The user's fields as in the file, paths absolute; empty for an anonymous user."""
    user_name: str = ""
    user_source: str = ""
    """The file that the user stands in."""

    def _identity(self) -> tuple[Any, ...]:
        user = self.user
        provider = user.get("auth-provider")
        if provider:
            config = {key: value for key, value in provider.get("config", {}).items() if key not in _OIDC_TOKENS}
            user = {**user, "auth-provider": {**provider, "config": config}}
        return (self.id, self.name, self.source, self.namespace, self.cluster, user, self.user_name, self.user_source)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash((self.id, self.source, self.server))

    @property
    def host(self) -> str:
        """Host and port of the server, without credentials."""
        parts = urlsplit(self.server)
        return parts.netloc.rpartition("@")[2]

    def __repr__(self) -> str:
        return f"Context({self.id!r}, source={self.source!r}, host={self.host!r}, namespace={self.namespace!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("id", self.id), ("source", self.source), ("host", self.host)]


class BrokenContext(msgspec.Struct, frozen=True):
    """A context that cannot be used, and why."""

    id: str
    name: str
    source: str
    error: str


class Kubeconfig(msgspec.Struct, frozen=True):
    """All contexts of all files."""

    contexts: tuple[Context, ...]
    current: str = ""
    """Id of the current context; "" when no file names a usable one."""
    broken: tuple[BrokenContext, ...] = ()
    warnings: tuple[str, ...] = ()
    """Sentences about what was skipped, broken contexts included."""
    files: tuple[str, ...] = ()
    """Absolute paths of all files read."""

    def __getitem__(self, id: str) -> Context:
        for context in self.contexts:
            if context.id == id:
                return context
        raise KeyError(id)


class _Set(msgspec.Struct):
    """Files that are merged, first wins; one file in most cases."""

    paths: list[str]
    optional: bool = False
    """Whether a file that is missing or no kubeconfig is only worth a warning."""


def load(
    paths: Sequence[str] = (), env: Mapping[str, str] = os.environ, *, previous: Kubeconfig | None = None
) -> Kubeconfig:
    """All contexts of `paths` (files or globs, each a set of its own); without paths those of $KUBECONFIG, else of
    ~/.kube/config, else of the pod we run in.

    `previous` keeps the ids that were given before, so that a reload renames nothing. Raises ConfigError that names
    file and field when a file is unreadable or no kubeconfig, or when no usable context is left.
    """
    warnings: list[str] = []
    found: list[tuple[str, str, Context | str]] = []
    current: tuple[str, str] | None = None
    files: list[str] = []
    for files_set in _sets(paths, env):
        members = _read(files_set, warnings)
        files += [member.path for member in members]
        merged = _merge(members)
        found += [(name, source, result) for name, (source, result) in merged.items()]
        wanted = next((member.current for member in members if member.current), "")
        if current is None and wanted in merged:
            current = (wanted, merged[wanted][0])
    if not found and not paths:
        pod = in_cluster(env)
        if pod is not None:
            return Kubeconfig((pod,), pod.id, warnings=tuple(warnings))
    ids = _ids([(name, source) for name, source, _ in found], previous)
    contexts = tuple(
        msgspec.structs.replace(result, id=ids[name, source])
        for name, source, result in found
        if isinstance(result, Context)
    )
    broken = tuple(
        BrokenContext(ids[name, source], name, source, result)
        for name, source, result in found
        if isinstance(result, str)
    )
    warnings += [context.error for context in broken]
    if not contexts:
        raise ConfigError(_nothing(broken, warnings, files, paths, env))
    current_id = ids.get(current, "") if current else ""
    if not any(context.id == current_id for context in contexts):
        current_id = ""
    return Kubeconfig(contexts, current_id, broken, tuple(warnings), tuple(dict.fromkeys(files)))


def _nothing(
    broken: Sequence[BrokenContext],
    warnings: Sequence[str],
    files: Sequence[str],
    paths: Sequence[str],
    env: Mapping[str, str],
) -> str:
    if broken or warnings:
        return next(iter([context.error for context in broken] or warnings))
    if files:
        return f"{', '.join(files)}: no contexts in it"
    where = ", ".join(path for files_set in _sets(paths, env) for path in files_set.paths)
    return f"no kubeconfig found: {where} is not there; name one with --kubeconfig or $KUBECONFIG"


def _sets(paths: Sequence[str], env: Mapping[str, str]) -> list[_Set]:
    if not paths:
        listed = [path for path in env.get("KUBECONFIG", "").split(os.pathsep) if path]
        if listed:
            return [_Set([_absolute(path, env) for path in listed], optional=True)]
        return [_Set([_absolute("~/.kube/config", env)], optional=True)]
    sets: list[_Set] = []
    seen: set[str] = set()
    for given in paths:
        path = _absolute(given, env)
        if os.path.exists(path) or not glob.has_magic(path):
            matches, optional = [path], False
        else:
            matches, optional = sorted(match for match in glob.glob(path) if os.path.isfile(match)), True
            if not matches:
                raise ConfigError(f"{given}: no file matches")
        for match in matches:
            if os.path.realpath(match) not in seen:
                seen.add(os.path.realpath(match))
                sets.append(_Set([match], optional))
    return sets


def candidates(paths: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """The absolute paths and globs that `load` looks at, there or not."""
    if paths:
        return [_absolute(path, env) for path in paths]
    return [path for files_set in _sets(paths, env) for path in files_set.paths]


def _absolute(path: str, env: Mapping[str, str]) -> str:
    home = env.get("HOME", "")
    if home and (path == "~" or path.startswith("~/")):
        path = home + path[1:]
    return os.path.abspath(os.path.expanduser(path))


def _read(files_set: _Set, warnings: list[str]) -> list[ConfigFile]:
    """The readable files of a set. Only an explicitly named file must be there; a listed file must be a kubeconfig."""
    members: list[ConfigFile] = []
    for path in files_set.paths:
        try:
            members.append(configfile.read(path))
        except FileNotFoundError:
            if not files_set.optional:
                raise ConfigError(f"{path}: no such file") from None
            if len(files_set.paths) > 1:
                warnings.append(f"{path}: no such file")
        except ConfigError as error:
            if not files_set.optional:
                raise
            warnings.append(str(error))
    return members


def _merge(members: Sequence[ConfigFile]) -> dict[str, tuple[str, Context | str]]:
    """Context name → (file, context or the sentence that says what is wrong with it)."""
    merged: dict[str, tuple[str, Context | str]] = {}
    for member in members:
        for name in member.contexts:
            if name in merged:
                continue
            try:
                merged[name] = (member.path, _context(member, name, members))
            except ConfigError as error:
                merged[name] = (member.path, str(error))
    return merged


def _context(member: ConfigFile, name: str, members: Sequence[ConfigFile]) -> Context:
    entry = member.contexts[name]
    if entry.error:
        raise ConfigError(entry.error)
    cluster = next((m.clusters[c] for m in members if (c := entry.content["cluster"]) in m.clusters), None)
    if cluster is None:
        raise ConfigError(
            f"{member.path}: {entry.where}.cluster: there is no cluster {entry.content['cluster']!r} (context {name!r})"
        )
    user_name = entry.content.get("user", "")
    user_file, user = next(((m.path, m.users[user_name]) for m in members if user_name in m.users), ("", None))
    if user is None and user_name:
        raise ConfigError(f"{member.path}: {entry.where}.user: there is no user {user_name!r} (context {name!r})")
    for part in (cluster, user):
        if part is not None and part.error:
            raise ConfigError(part.error)
    return Context(
        id=name,
        name=name,
        source=member.path,
        server=cluster.content["server"],
        namespace=entry.content.get("namespace") or "default",
        cluster=cluster.content,
        user=user.content if user else {},
        user_name=user_name,
        user_source=user_file,
    )


def _ids(keys: Sequence[tuple[str, str]], previous: Kubeconfig | None) -> dict[tuple[str, str], str]:
    """(name, file) → id. A name that clashes gets the shortest end of its file's path that tells them apart."""
    ids: dict[tuple[str, str], str] = {}
    if previous is not None:
        kept = {(c.name, c.source): c.id for c in previous.broken}
        kept |= {(c.name, c.source): c.id for c in previous.contexts}
        ids = {key: kept[key] for key in keys if key in kept}
    taken = set(ids.values())
    counts = Counter(name for name, _ in keys)
    for name, source in keys:
        if (name, source) in ids:
            continue
        if counts[name] == 1 and name not in taken:
            choice = name
        else:
            rivals = [file for other, file in keys if other == name and file != source]
            choice = f"{name}@{_suffix(source, rivals)}"
        number = 2
        base = choice
        while choice in taken:
            choice, number = f"{base}~{number}", number + 1
        ids[name, source] = choice
        taken.add(choice)
    return ids


def _suffix(path: str, rivals: Iterable[str]) -> str:
    parts = os.path.splitext(path)[0].strip(os.sep).split(os.sep)
    others = [os.path.splitext(rival)[0].strip(os.sep).split(os.sep) for rival in rivals]
    for length in range(1, len(parts)):
        if all(other[-length:] != parts[-length:] for other in others):
            return "/".join(parts[-length:])
    return path


def in_cluster(env: Mapping[str, str] = os.environ, directory: str = SERVICE_ACCOUNT) -> Context | None:
    """The cluster whose pod we run in, as its service account; None outside of a pod."""
    host, port = env.get("KUBERNETES_SERVICE_HOST", ""), env.get("KUBERNETES_SERVICE_PORT", "")
    token = os.path.join(directory, "token")
    if not host or not port or not os.path.isfile(token):
        return None
    cluster = {"server": f"https://{f'[{host}]' if ':' in host else host}:{port}"}
    authority = os.path.join(directory, "ca.crt")
    if os.path.isfile(authority):
        cluster["certificate-authority"] = authority
    namespace = "default"
    try:
        with open(os.path.join(directory, "namespace"), encoding="utf-8") as file:
            namespace = file.read(256).strip() or namespace
    except (OSError, UnicodeDecodeError):
        pass
    return Context(
        id=IN_CLUSTER,
        name=IN_CLUSTER,
        source=IN_CLUSTER,
        server=cluster["server"],
        namespace=namespace,
        cluster=dict(cluster),
        user={"tokenFile": token},
        user_name="service-account",
        user_source=IN_CLUSTER,
    )


def select(kubeconfig: Kubeconfig, patterns: Sequence[str]) -> tuple[Context, ...]:
    """Contexts whose id or name matches one of `patterns` (exact or glob), in the files' order; all without patterns.

    Raises ConfigError for a pattern that matches nothing, or that names a broken context exactly.
    """
    if not patterns:
        return kubeconfig.contexts
    chosen: set[str] = set()
    for pattern in patterns:
        exact = {c.id for c in kubeconfig.contexts if pattern in (c.id, c.name)}
        for broken in kubeconfig.broken:
            if not exact and pattern in (broken.id, broken.name):
                raise ConfigError(broken.error)
        matches = exact or {
            c.id for c in kubeconfig.contexts if any(fnmatch.fnmatchcase(word, pattern) for word in (c.id, c.name))
        }
        if not matches:
            import difflib

            ids = [c.id for c in kubeconfig.contexts]
            close = difflib.get_close_matches(pattern, ids, n=3)
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(sorted(ids)[:20])}"
            raise ConfigError(f"no context matches {pattern!r}; {hint}")
        chosen |= matches
    return tuple(context for context in kubeconfig.contexts if context.id in chosen)


async def watch_files(
    paths: Sequence[str] = (),
    env: Mapping[str, str] = os.environ,
    *,
    current: Kubeconfig | None = None,
) -> AsyncGenerator[Kubeconfig, None]:
    """See `fluxtui.kube.reload.watch_files`, which this is."""
    from fluxtui.kube.reload import watch_files as follow

    async with aclosing(follow(paths, env, current=current)) as changes:
        async for kubeconfig in changes:
            yield kubeconfig
