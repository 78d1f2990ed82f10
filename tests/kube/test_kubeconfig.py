"""Kubeconfig files become contexts: found, merged, named, chosen, and wrong ones explained."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from fluxtui.kube import configfile
from fluxtui.kube.errors import ConfigError
from fluxtui.kube.kubeconfig import in_cluster, load, select

SECRET = "s3cret-t0ken"


def entry(
    name: str, server: str = "", user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None
) -> Any:
    """The three entries of one context."""
    return {
        "clusters": [{"name": name, "cluster": {"server": server or f"https://{name}.example", **(cluster or {})}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "users": [{"name": name, "user": {"token": SECRET} if user is None else user}],
    }


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def write(path: Path, *entries: dict[str, Any], **more: Any) -> str:
    """A kubeconfig file of entries."""
    document: dict[str, Any] = {"apiVersion": "v1", "kind": "Config"}
    for key in ("clusters", "contexts", "users"):
        document[key] = [item for each in entries for item in each.get(key, ())]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.dump(document | more, Dumper=_Dumper))
    return str(path)


def ids(config: Any) -> list[str]:
    return [context.id for context in config.contexts]


def test_home_is_the_default_and_names_the_current_context(isolated_home: Path) -> None:
    path = write(isolated_home / ".kube/config", entry("a"), entry("b"), **{"current-context": "b"})
    config = load(env={"HOME": str(isolated_home)})
    assert ids(config) == ["a", "b"]
    assert config.current == "b"
    assert config.files == (path,)
    assert config["a"].server == "https://a.example"
    assert config["a"].namespace == "default"


def test_the_environment_lists_files_that_merge_first_wins(tmp_path: Path) -> None:
    one = entry("shared", "https://one", {"token": "one"})
    two = entry("shared", "https://two", {"token": "two", "as": "nobody"})
    # A context of the second file may use a cluster of the first.
    two["contexts"].append({"name": "borrowed", "context": {"cluster": "shared", "user": "other", "namespace": "x"}})
    two["users"].append({"name": "other", "user": {"client-certificate": "c.pem", "client-key": "/abs/k.pem"}})
    first = write(tmp_path / "1/config", one, **{"current-context": ""})
    second = write(tmp_path / "2/config", two, entry("own"), **{"current-context": "own"})
    missing = str(tmp_path / "missing")
    config = load(env={"KUBECONFIG": os.pathsep.join([missing, first, "", second])})
    assert ids(config) == ["shared", "borrowed", "own"]
    assert config["shared"].server == "https://one"
    assert config["shared"].user == {"token": "one", "as-groups": [], "as-user-extra": {}}
    assert config["borrowed"].server == "https://one"
    assert config["borrowed"].namespace == "x"
    assert config["borrowed"].user["client-certificate"] == str(tmp_path / "2/c.pem")
    assert config["borrowed"].user["client-key"] == "/abs/k.pem"
    assert config["borrowed"].user_source == second
    assert config.current == "own"
    assert missing in " ".join(config.warnings)


def test_files_of_the_command_line_stay_separate_sets(tmp_path: Path) -> None:
    first = write(tmp_path / "east.yaml", entry("prod", "https://east"), entry("east-only"))
    second = write(tmp_path / "west.yaml", entry("prod", "https://west"), **{"current-context": "prod"})
    config = load([first, second, first])
    assert ids(config) == ["prod@east", "east-only", "prod@west"]
    assert config["prod@west"].server == "https://west"
    assert config.current == "prod@west"


def test_same_file_names_get_their_folder_as_suffix(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{folder}/kube/config", entry("prod")) for folder in ("a", "b")]
    assert ids(load(paths)) == ["prod@a/kube/config", "prod@b/kube/config"]


def test_globs_and_home(tmp_path: Path, isolated_home: Path) -> None:
    write(isolated_home / "fleet/b.yaml", entry("b"))
    write(isolated_home / "fleet/a.yaml", entry("a"))
    (isolated_home / "fleet/notes.yaml").write_text("just: notes\nkind: Note\n")
    config = load(["~/fleet/*.yaml"], {"HOME": str(isolated_home)})
    assert ids(config) == ["a", "b"]
    assert any("notes.yaml: not a kubeconfig" in warning for warning in config.warnings)
    with pytest.raises(ConfigError, match="no file matches"):
        load([str(tmp_path / "*.nothing")])


def test_no_kubeconfig_says_where_it_looked(isolated_home: Path) -> None:
    with pytest.raises(ConfigError, match=r"no kubeconfig found: .*/\.kube/config"):
        load(env={"HOME": str(isolated_home)})
    with pytest.raises(ConfigError, match="no such file"):
        load(["/nowhere/config"])


def test_in_a_pod_the_service_account_is_used(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_text("c")
    (tmp_path / "namespace").write_text("flux-system\n")
    env = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    context = in_cluster(env, str(tmp_path))
    assert context is not None
    assert (context.id, context.server, context.namespace) == ("in-cluster", "https://[fd00::1]:443", "flux-system")
    assert context.user == {"tokenFile": str(tmp_path / "token")}
    assert context.cluster["certificate-authority"] == str(tmp_path / "ca.crt")
    assert in_cluster({}, str(tmp_path)) is None


EXEC = {"apiVersion": "client.authentication.k8s.io/v1", "command": "x", "interactiveMode": "Never"}
BAD_BASE64 = "not base64!"


@pytest.mark.parametrize(
    ("user", "cluster", "message"),
    [
        ({"token": "t", "exec": EXEC}, {}, r"users\[0\].user: has both token and exec"),
        ({"username": "u", "password": "p", "token": "t"}, {}, "has both token and username and password"),
        ({"exec": {"command": "x"}}, {}, r"users\[0\].user.exec.apiVersion: expected .*/v1"),
        ({"exec": {**EXEC, "apiVersion": "client.authentication.k8s.io/v1alpha1"}}, {}, "v1alpha1"),
        ({"exec": {**EXEC, "interactiveMode": ""}}, {}, "exec.interactiveMode: missing"),
        ({"exec": {**EXEC, "interactiveMode": "Often"}}, {}, "exec.interactiveMode: expected one of"),
        ({"exec": {**EXEC, "command": ""}}, {}, "exec.command: missing"),
        ({"exec": {**EXEC, "args": "a"}}, {}, "exec.args: expected a list"),
        ({"exec": {**EXEC, "env": [{"value": "v"}]}}, {}, r"exec.env\[0\].name: missing"),
        ({"auth-provider": {"name": "gcp"}}, {}, "'gcp' is not supported: .*gke-gcloud-auth-plugin"),
        ({"auth-provider": {"name": "oidc", "config": {"client-id": "c"}}}, {}, "idp-issuer-url: missing"),
        ({"client-certificate": "a"}, {}, "client-key: missing"),
        ({"client-key-data": "AAAA"}, {}, "client-certificate: missing"),
        ({"client-certificate-data": BAD_BASE64, "client-key-data": "AAAA"}, {}, "client-certificate-data: not valid"),
        ({"as-groups": ["g"]}, {}, r"users\[0\].user.as: missing"),
        ({"token": ["t"]}, {}, "user.token: expected text"),
        ({}, {"server": "ftp://x"}, r"clusters\[0\].cluster.server: expected an http"),
        ({}, {"server": ""}, "cluster.server: missing"),
        ({}, {"server": "https://u:s3cret-t0ken@x"}, "cluster.server: user and password belong to a user"),
        ({}, {"certificate-authority-data": BAD_BASE64}, "certificate-authority-data: not valid base64"),
        ({}, {"insecure-skip-tls-verify": True, "certificate-authority": "x"}, "has no use"),
        ({}, {"insecure-skip-tls-verify": "yes"}, "expected true or false"),
        ({}, {"proxy-url": "socks5://127.0.0.1:1"}, "cluster.proxy-url: SOCKS proxies are not supported"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, user: Any, cluster: Any, message: str) -> None:
    path = write(tmp_path / "config", entry("bad", user=user, cluster=cluster))
    with pytest.raises(ConfigError, match=message) as caught:
        load([path])
    assert path in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_broken_context_does_not_hide_the_others(tmp_path: Path) -> None:
    dangling = {"contexts": [{"name": "stale", "context": {"cluster": "gone", "user": "gone"}}]}
    path = write(tmp_path / "config", entry("good"), dangling, entry("odd", user={"token": "t", "exec": EXEC}))
    config = load([path])
    assert ids(config) == ["good"]
    assert [context.name for context in config.broken] == ["stale", "odd"]
    assert any("contexts[1].context.cluster: there is no cluster 'gone'" in warning for warning in config.warnings)
    with pytest.raises(ConfigError, match="there is no cluster 'gone'"):
        select(config, ["stale"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"kind: Config\nusers:\n- name: {SECRET}\n  user: {{token: '{SECRET}\n", "not valid YAML: line"),
        ("- a\n- b\n", "not a kubeconfig"),
        ("kind: Config\nclusters: {a: b}\n", "clusters: expected a list"),
        ("kind: Config\nusers: [{user: {}}]\n", r"users\[0\].name: missing"),
        ("kind: Config\nusers: [{name: a}, {name: a}]\n", r"users\[1\].name: duplicate name 'a'"),
        ("kind: Config\nx: !!python/object:os.system {}\n", "not valid YAML"),
        ("kind: Config\nx: " + "[" * 5000, "not valid YAML"),
        ("kind: Config\n", "no contexts in it"),
    ],
)
def test_a_file_that_is_none_is_explained_without_its_content(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load([str(path)])
    assert SECRET not in str(caught.value)
    assert str(path) in str(caught.value)


def test_scalars_are_text_as_kubectl_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(
        "kind: Config\n"
        "clusters: [{name: 2024-01-01, cluster: {server: https://x, insecure-skip-tls-verify: true}}]\n"
        "contexts: [{name: 0755, context: {cluster: 2024-01-01, user: on, namespace: 1e3}}]\n"
        "users: [{name: on, user: {username: 12:30, password: 0123}}]\n"
        "current-context: 0755\n"
    )
    context = load([str(path)])["0755"]
    assert context.namespace == "1e3"
    assert context.user["username"] == "12:30"
    assert context.user["password"] == "0123"
    assert context.cluster["insecure-skip-tls-verify"] is True


def test_secrets_stay_out_of_every_repr(tmp_path: Path) -> None:
    user = {"token": SECRET, "client-certificate-data": base64.b64encode(b"cert").decode(), "client-key-data": "QUFB"}
    path = write(tmp_path / "config", entry("a", "https://host:6443", user))
    config = load([path, write(tmp_path / "other", entry("b", cluster={"proxy-url": "http://u:hunter2@p"}))])
    file = configfile.read(path)
    for shown in (repr(config), repr(config.contexts[0]), repr(file), str(list(config.contexts[0].__rich_repr__()))):
        assert SECRET not in shown
        assert "hunter2" not in shown
        assert "QUFB" not in shown


def test_contexts_are_chosen_by_name_id_and_pattern(tmp_path: Path) -> None:
    first = write(tmp_path / "1.yaml", entry("prod-eu"), entry("prod-us"), entry("staging[1]"))
    second = write(tmp_path / "2.yaml", entry("prod-eu"))
    config = load([first, second])
    assert [c.id for c in select(config, [])] == ids(config)
    assert [c.id for c in select(config, ["prod-eu"])] == ["prod-eu@1", "prod-eu@2"]
    assert [c.id for c in select(config, ["prod-eu@2", "prod-u*"])] == ["prod-us", "prod-eu@2"]
    assert [c.id for c in select(config, ["*@2"])] == ["prod-eu@2"]
    assert [c.id for c in select(config, ["staging[1]"])] == ["staging[1]"]
    with pytest.raises(ConfigError, match="no context matches 'prod-uk'; did you mean prod-us"):
        select(config, ["prod-uk"])


def test_equal_contexts_need_no_new_connection(tmp_path: Path) -> None:
    def with_tokens(token: str, client: str) -> Any:
        config = {"client-id": client, "idp-issuer-url": "https://idp", "id-token": token, "refresh-token": token}
        return load([write(tmp_path / "c", entry("a", user={"auth-provider": {"name": "oidc", "config": config}}))])[
            "a"
        ]

    assert with_tokens("one", "client") == with_tokens("two", "client")
    assert with_tokens("one", "client") != with_tokens("one", "other")
    before = load([write(tmp_path / "d", entry("a"))])["a"]
    assert before == load([write(tmp_path / "d", entry("a"), entry("b"))])["a"]
    assert before != load([write(tmp_path / "d", entry("a", user={"token": "other"}))])["a"]
    assert len({before, before}) == 1


def test_a_file_is_parsed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "config", entry("a"))
    parsed: list[str] = []
    parse = configfile.parse

    def noted(text: bytes, name: str) -> Any:
        parsed.append(name)
        return parse(text, name)

    monkeypatch.setattr(configfile, "parse", noted)
    load([path])
    load([path])
    assert parsed == [path]
    write(tmp_path / "config", entry("a"), entry("b"))
    assert ids(load([path])) == ["a", "b"]
    assert parsed == [path, path]


def test_a_hundred_contexts_load_much_faster_than_with_the_python_loader(tmp_path: Path) -> None:
    blob = base64.b64encode(os.urandom(1300)).decode()
    entries = []
    for n in range(100):
        user = {"client-certificate-data": f"{blob}", "client-key-data": f"{blob[4:]}AAAA"}
        entries.append(entry(f"cluster-{n}", user=user, cluster={"certificate-authority-data": blob}))
    path = Path(write(tmp_path / "config", *entries))
    text = path.read_bytes()
    assert len(text) > 500_000

    def best(work: Any, of: int) -> float:
        times = []
        for _ in range(of):
            began = time.process_time()
            work()
            times.append(time.process_time() - began)
        return min(times)

    ours = best(lambda: configfile.parse(text, str(path)), 10)
    theirs = best(lambda: yaml.safe_load(text), 3)
    # 15 ms against 155 ms on the machine that set the figure; a ratio is fair on every machine.
    assert ours < theirs / 4
