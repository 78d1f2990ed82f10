"""One kubeconfig file: read, checked field by field, kept until it changes.

Fields and their rules: kubernetes.io/docs/reference/config-api/kubeconfig.v1 and client-go's validation. An entry that
is wrong is kept with its error, so that one stale entry does not take a hundred good contexts with it.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

from fluxtui.kube.errors import ConfigError

MAX_BYTES = 16 << 20
EXEC_GROUP = "client.authentication.k8s.io"
EXEC_VERSIONS = (f"{EXEC_GROUP}/v1", f"{EXEC_GROUP}/v1beta1")
INTERACTIVE_MODES = ("Never", "IfAvailable", "Always")

_Check = Callable[[dict[str, Any], str], None]


class Entry(msgspec.Struct, frozen=True):
    """A named cluster, user or context: its content with paths made absolute, or why it is wrong."""

    name: str
    where: str
    """Path of the entry in the file: `users[3].user`."""
    content: dict[str, Any]
    error: str = ""

    def __repr__(self) -> str:
        return f"Entry({self.name!r}, {self.where!r}, error={self.error!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.name), ("error", self.error)]


class ConfigFile(msgspec.Struct, frozen=True):
    """The content of one kubeconfig file."""

    path: str
    clusters: Mapping[str, Entry]
    users: Mapping[str, Entry]
    contexts: Mapping[str, Entry]
    current: str = ""


class _Invalid(Exception):
    """A field is wrong: (path of the field within its entry, sentence)."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


class _Loader(yaml.CSafeLoader):
    """Reads scalars as kubectl does for fields of text: only null, true and false are more than text."""


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])


class _TypedLoader(_Loader):
    """Reads numbers as numbers, too: for what a plugin is handed as JSON."""


_TypedLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
)
_TypedLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$"),
    list("-+0123456789"),
)


class _Stamp(NamedTuple):
    modified: int
    size: int
    inode: int


_cache: dict[str, tuple[_Stamp, ConfigFile]] = {}


def read(path: str) -> ConfigFile:
    """The file at `path` (absolute); parsed again only when its time, size or inode changed.

    Raises ConfigError when it cannot be read or is no kubeconfig, FileNotFoundError when it is not there.
    """
    try:
        status = os.stat(path)
        stamp = _Stamp(status.st_mtime_ns, status.st_size, status.st_ino)
        kept = _cache.get(path)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        if status.st_size > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES >> 20} MiB; that is no kubeconfig")
        text = Path(path).read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    parsed = parse(text, path)
    _cache[path] = (stamp, parsed)
    return parsed


def parse(text: bytes, path: str) -> ConfigFile:
    """The kubeconfig in `text`; `path` is what errors name and what relative paths start from.

    Raises ConfigError for broken YAML or a wrong shape of the whole; a wrong entry carries its own error.
    """
    try:
        document = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{path}: not valid YAML: {place}{error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigError(f"{path}: not valid YAML") from None
    if document is None:
        document = {}
    if not isinstance(document, dict) or document.get("kind", "Config") != "Config":
        raise ConfigError(f"{path}: not a kubeconfig: expected a mapping with `kind: Config`")
    _type_extensions(document, text)
    base = os.path.dirname(os.path.abspath(path))
    current = document.get("current-context")
    if current is not None and not isinstance(current, str | bool):
        raise ConfigError(f"{path}: current-context: expected text")
    return ConfigFile(
        path=path,
        clusters=_entries(document, "clusters", "cluster", path, lambda c, _: _check_cluster(c, base)),
        users=_entries(document, "users", "user", path, lambda c, _: _check_user(c, base)),
        contexts=_entries(document, "contexts", "context", path, lambda c, _: _check_context(c)),
        current=_as_text(current) if current is not None else "",
    )


def _type_extensions(document: dict[Any, Any], text: bytes) -> None:
    """Give the clusters' extensions the types they have in JSON; they are rare, so only then read a second time."""
    clusters = document.get("clusters")
    if not isinstance(clusters, list):
        return
    extended = [
        index
        for index, item in enumerate(clusters)
        if isinstance(item, dict) and isinstance(item.get("cluster"), dict) and item["cluster"].get("extensions")
    ]
    if extended:
        typed = yaml.load(text, _TypedLoader)
        for index in extended:
            clusters[index]["cluster"]["extensions"] = typed["clusters"][index]["cluster"]["extensions"]


def _entries(document: dict[Any, Any], key: str, inner: str, path: str, check: _Check) -> dict[str, Entry]:
    items = document.get(key)
    if items is None:
        return {}
    if not isinstance(items, list):
        raise ConfigError(f"{path}: {key}: expected a list")
    entries: dict[str, Entry] = {}
    for index, item in enumerate(items):
        where = f"{key}[{index}]"
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str | bool) or name == "":
            raise ConfigError(f"{path}: {where}.name: missing; every entry of {key} needs a name")
        name = _as_text(name)
        if name in entries:
            raise ConfigError(f"{path}: {where}.name: duplicate name {name!r}")
        where = f"{where}.{inner}"
        content = item.get(inner)
        if content is None:
            content = {}
        error = ""
        if isinstance(content, dict):
            content = {str(field): value for field, value in content.items() if value is not None}
            try:
                check(content, where)
            except _Invalid as invalid:
                field = f"{where}.{invalid.field}" if invalid.field else where
                error = f"{path}: {field}: {invalid.message} ({inner} {name!r})"
        else:
            content, error = {}, f"{path}: {where}: expected a mapping ({inner} {name!r})"
        entries[name] = Entry(name, where, content, error)
    return entries


def _as_text(value: str | bool) -> str:
    return value if isinstance(value, str) else str(value).lower()


def _text(content: dict[str, Any], field: str, prefix: str = "") -> str:
    """The text of a field, written back as text; "" when it is missing."""
    value = content.get(field, "")
    if isinstance(value, bool):
        value = _as_text(value)
    if not isinstance(value, str):
        raise _Invalid(prefix + field, "expected text")
    if field in content:
        content[field] = value
    return value


def _flag(content: dict[str, Any], field: str, prefix: str = "") -> bool:
    value = content.get(field, False)
    if not isinstance(value, bool):
        raise _Invalid(prefix + field, "expected true or false")
    return value


def _mapping(content: dict[str, Any], field: str, prefix: str = "") -> dict[str, Any]:
    value = content.get(field, {})
    if not isinstance(value, dict):
        raise _Invalid(prefix + field, "expected a mapping")
    content[field] = value = {str(key): inner for key, inner in value.items() if inner is not None}
    return value


def _base64(content: dict[str, Any], field: str, prefix: str = "") -> None:
    value = _text(content, field, prefix)
    if not value:
        return
    try:
        base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _Invalid(prefix + field, "not valid base64") from None


def _path(content: dict[str, Any], field: str, base: str, prefix: str = "") -> None:
    value = _text(content, field, prefix)
    if value:
        content[field] = os.path.normpath(os.path.join(base, value))


def _check_cluster(cluster: dict[str, Any], base: str) -> None:
    server = _text(cluster, "server")
    if not re.match(r"https?://[^/\s]", server):
        raise _Invalid("server", "expected an http:// or https:// URL" if server else "missing")
    if "@" in server.partition("://")[2].partition("/")[0]:
        raise _Invalid("server", "user and password belong to a user, not into the URL")
    cluster["server"] = server.rstrip("/")
    _base64(cluster, "certificate-authority-data")
    _path(cluster, "certificate-authority", base)
    insecure = _flag(cluster, "insecure-skip-tls-verify")
    if insecure and (cluster.get("certificate-authority-data") or cluster.get("certificate-authority")):
        raise _Invalid("insecure-skip-tls-verify", "a certificate authority has no use when verification is off")
    _text(cluster, "tls-server-name")
    _flag(cluster, "disable-compression")
    proxy = _text(cluster, "proxy-url")
    if proxy:
        scheme = proxy.partition("://")[0].lower()
        if scheme.startswith("socks"):
            raise _Invalid("proxy-url", "SOCKS proxies are not supported; use an http:// or https:// proxy")
        if not re.match(r"https?://[^/\s]", proxy, re.IGNORECASE):
            raise _Invalid("proxy-url", "expected an http:// or https:// URL")


def _check_context(context: dict[str, Any]) -> None:
    if not _text(context, "cluster"):
        raise _Invalid("cluster", "missing")
    _text(context, "user")
    _text(context, "namespace")


def _check_user(user: dict[str, Any], base: str) -> None:
    for field in ("token", "username", "password", "as", "as-uid"):
        _text(user, field)
    for field in ("client-certificate", "client-key"):
        _base64(user, f"{field}-data")
        _path(user, field, base)
    _path(user, "tokenFile", base)
    has_certificate = user.get("client-certificate-data") or user.get("client-certificate")
    has_key = user.get("client-key-data") or user.get("client-key")
    if has_certificate and not has_key:
        raise _Invalid("client-key", "missing; a client certificate needs its key")
    if has_key and not has_certificate:
        raise _Invalid("client-certificate", "missing; a client key needs its certificate")
    methods = [
        what
        for what, fields in (
            ("token", ("token", "tokenFile")),
            ("username and password", ("username", "password")),
            ("exec", ("exec",)),
            ("auth-provider", ("auth-provider",)),
        )
        if any(user.get(field) for field in fields)
    ]
    if len(methods) > 1:
        raise _Invalid("", f"has both {' and '.join(methods)}; only one way to authenticate is allowed")
    _check_impersonation(user)
    if "exec" in user:
        _check_exec(_mapping(user, "exec"), base)
    if "auth-provider" in user:
        _check_provider(_mapping(user, "auth-provider"), base)


def _check_impersonation(user: dict[str, Any]) -> None:
    groups = user.get("as-groups", [])
    if not isinstance(groups, list) or not all(isinstance(group, str | bool) for group in groups):
        raise _Invalid("as-groups", "expected a list of text")
    user["as-groups"] = [_as_text(group) for group in groups]
    extra = _mapping(user, "as-user-extra")
    for key, values in extra.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise _Invalid(f"as-user-extra.{key}", "expected a list of text")
    if not user.get("as") and (user["as-groups"] or user.get("as-uid") or extra):
        raise _Invalid("as", "missing; groups, uid and extra are impersonated together with a user")


def _check_exec(plugin: dict[str, Any], base: str) -> None:
    command = _text(plugin, "command", "exec.")
    if not command:
        raise _Invalid("exec.command", "missing")
    if os.sep in command:
        plugin["command"] = os.path.normpath(os.path.join(base, command))
    version = _text(plugin, "apiVersion", "exec.")
    if version not in EXEC_VERSIONS:
        raise _Invalid(
            "exec.apiVersion", f"expected {' or '.join(EXEC_VERSIONS)}" + (f", not {version!r}" if version else "")
        )
    mode = _text(plugin, "interactiveMode", "exec.")
    if not mode:
        if version == EXEC_VERSIONS[0]:
            raise _Invalid("exec.interactiveMode", f"missing; expected one of {', '.join(INTERACTIVE_MODES)}")
        plugin["interactiveMode"] = "IfAvailable"
    elif mode not in INTERACTIVE_MODES:
        raise _Invalid("exec.interactiveMode", f"expected one of {', '.join(INTERACTIVE_MODES)}")
    _flag(plugin, "provideClusterInfo", "exec.")
    _text(plugin, "installHint", "exec.")
    arguments = plugin.setdefault("args", []) or []
    if not isinstance(arguments, list) or not all(isinstance(argument, str | bool) for argument in arguments):
        raise _Invalid("exec.args", "expected a list of text")
    plugin["args"] = [_as_text(argument) for argument in arguments]
    variables = plugin.setdefault("env", []) or []
    if not isinstance(variables, list):
        raise _Invalid("exec.env", "expected a list")
    plugin["env"] = []
    for index, variable in enumerate(variables):
        if not isinstance(variable, dict) or not variable.get("name"):
            raise _Invalid(f"exec.env[{index}].name", "missing")
        variable = dict(variable)
        name = _text(variable, "name", f"exec.env[{index}].")
        plugin["env"].append({"name": name, "value": _text(variable, "value", f"exec.env[{index}].")})


def _check_provider(provider: dict[str, Any], base: str) -> None:
    name = _text(provider, "name", "auth-provider.")
    if name != "oidc":
        hints = {"gcp": "gke-gcloud-auth-plugin", "azure": "kubelogin"}
        hint = f"; use an exec plugin instead ({hints[name]})" if name in hints else ""
        raise _Invalid("auth-provider.name", f"{name!r} is not supported: Kubernetes removed it in 1.26{hint}")
    config = _mapping(provider, "config", "auth-provider.")
    for field in ("client-id", "client-secret", "id-token", "refresh-token", "idp-issuer-url", "extra-scopes"):
        _text(config, field, "auth-provider.config.")
    for field in ("client-id", "idp-issuer-url"):
        if not config.get(field):
            raise _Invalid(f"auth-provider.config.{field}", "missing")
    _base64(config, "idp-certificate-authority-data", "auth-provider.config.")
    _path(config, "idp-certificate-authority", base, "auth-provider.config.")
