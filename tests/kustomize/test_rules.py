"""Rules of kustomize that are easily got wrong: each as the program has it."""

from __future__ import annotations

from typing import Any

import pytest

from fluxtui.kustomize import KustomizeError
from tests.kustomize.test_build import built

SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations: {big: 18446744073709551615, hex: 0x1F}
spec:
  ports: [{port: 80}]
"""
BINDING = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web}
roleRef: {kind: Role, name: web, apiGroup: rbac.authorization.k8s.io}
subjects:
- {kind: ServiceAccount, SUBJECT}
"""
NAMES = "namePrefix:\n- {path: metadata/name, kind: Widget}\n"


def only(text: str, fields: str, **files: str) -> dict[str, Any]:
    more = {f"/top/{name}.yaml": content for name, content in files.items()}
    top = {"/top/kustomization.yaml": f"resources: [x.yaml]\n{fields}", "/top/x.yaml": text, **more}
    obj: dict[str, Any] = built(top, "/top")[0].object
    return obj


@pytest.mark.parametrize(("kind", "name"), [("Widget", "p-x"), ("Gadget", "x")])
def test_a_field_for_one_kind_takes_the_place_of_that_for_all(kind: str, name: str) -> None:
    text = f"apiVersion: example.com/v1\nkind: {kind}\nmetadata: {{name: x}}\n"
    found = only(text, "namePrefix: p-\nconfigurations: [names.yaml]\n", names=NAMES)
    assert found["metadata"]["name"] == name


def test_what_fields_create_must_not_differ() -> None:
    labels = "commonLabels:\n- {path: metadata/labels, kind: Widget}\n"
    with pytest.raises(KustomizeError, match="conflicting fieldspecs for metadata/labels"):
        only(SERVICE, "configurations: [labels.yaml]\n", labels=labels)


def test_numbers_in_annotations_are_those_of_json_behind_a_json_patch() -> None:
    patch = "- {op: add, path: /metadata/annotations/n, value: 1234567}"
    fields = f"patches:\n- target: {{kind: Service}}\n  patch: '{patch}'\n"
    assert only(SERVICE, fields)["metadata"]["annotations"] == {
        "big": "1.8446744073709552e+19",
        "hex": "31",
        "n": "1.234567e+06",
    }
    assert only(SERVICE, "")["metadata"]["annotations"]["hex"] == "0x1F"


def test_a_json_patch_of_the_annotations_keeps_the_names_of_before() -> None:
    files = {
        "/top/kustomization.yaml": (
            "resources: [x.yaml]\nnameSuffix: -b\npatchesJson6902:\n"
            "- target: {version: v1, kind: ServiceAccount, name: robot}\n"
            "  patch: '- {op: add, path: /metadata/annotations, value: {note: x}}'\n"
        ),
        "/top/x.yaml": (
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot}\n---\n"
            "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {serviceAccountName: robot}\n"
        ),
    }
    assert built(files, "/top")[1].object["spec"] == {"serviceAccountName": "robot-b"}


def test_a_value_of_the_wrong_type_may_be_replaced() -> None:
    replacement = (
        "replacements:\n- sourceValue: text\n  targets:\n  - select: {kind: Service}\n    fieldPaths: [PATHS]\n"
    )
    with pytest.raises(KustomizeError, match=r"Service.*cannot decode !!str `text` as a !!int"):
        only(SERVICE, replacement.replace("PATHS", "spec.ports.*.port"))
    found = only(SERVICE, replacement.replace("PATHS", "spec.ports.*.port, 'spec.ports.*'"))
    assert found["spec"]["ports"] == ["text"]


def test_dates_in_files_of_kustomize_are_text() -> None:
    fields = "commonAnnotations: {day: 2024-01-01}\npatches:\n- {path: patch.yaml, target: {kind: Service}}\n"
    found = only(SERVICE, fields, patch="- {op: add, path: /spec/day, value: 2024-01-02}\n")
    assert (found["metadata"]["annotations"]["day"], found["spec"]["day"]) == ("2024-01-01", "2024-01-02")


def test_a_plugin_may_have_fields_that_nobody_knows() -> None:
    plugin = (
        "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: t}\nprefix: p-\nmore: 1\n"
        "fieldSpecs:\n- {path: metadata/name, kind: Service, name: web}\n"
    )
    assert only(SERVICE, "transformers: [plugin.yaml]\n", plugin=plugin)["metadata"]["name"] == "p-web"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BINDING.replace("SUBJECT", "namespace: x"), "RoleBinding.*no 'name' field in node"),
        (BINDING.replace("SUBJECT", "name: x, namespace: "), "namespace is blank for resource .RoleBinding"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: text\n", "Pod.*expected sequence or mapping node"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {volumes: [{secret: 1}]}\n", "Pod.*expected sequence"),
    ],
)
def test_fields_that_hold_names_are_looked_at_when_nothing_is_renamed(text: str, problem: str) -> None:
    with pytest.raises(KustomizeError, match=problem):
        only(text, "")


def test_a_quote_behind_a_separator_of_lines_is_not_indented() -> None:
    text = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: "x\\u2028"}\n'
    top = {"/top/kustomization.yaml": "resources: [x.yaml]\n", "/top/x.yaml": text}
    assert "a: 'x\u2028'\n" in built(top, "/top").to_yaml()


def test_a_validator_may_add_its_label() -> None:
    plugin = (
        "apiVersion: builtin\nkind: LabelTransformer\nmetadata: {name: v}\nlabels: {LABEL: v}\n"
        "fieldSpecs: [{path: metadata/labels, create: true}]\n"
    )
    found = only(SERVICE, "validators: [v.yaml]\n", v=plugin.replace("LABEL", "validated-by"))
    assert found["metadata"]["labels"] == {"validated-by": "v"}
    with pytest.raises(KustomizeError, match="shouldn't modify the resource map"):
        only(SERVICE, "validators: [v.yaml]\n", v=plugin.replace("LABEL", "app"))


def test_a_value_in_the_place_of_all_annotations_takes_the_old_names_with_it() -> None:
    files = {
        "/top/kustomization.yaml": (
            "resources: [x.yaml]\nnameSuffix: -b\nreplacements:\n- sourceValue: text\n  targets:\n"
            "  - {select: {kind: ServiceAccount}, fieldPaths: [metadata.annotations], options: {create: true}}\n"
        ),
        "/top/x.yaml": (
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot, annotations: {note: x}}\n---\n"
            "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {serviceAccountName: robot}\n"
        ),
    }
    account, pod = built(files, "/top")
    assert account.object["metadata"]["name"] == "robot-b"
    assert pod.object["spec"] == {"serviceAccountName": "robot"}


def test_no_prefix_leaves_a_field_that_is_made_for_it_null() -> None:
    plugin = (
        "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: t}\n"
        "fieldSpecs: [{path: spec/alpha, create: true}]\n"
    )
    assert only(SERVICE, "transformers: [t.yaml]\n", t=plugin)["spec"]["alpha"] is None


def test_text_is_no_date() -> None:
    text = SERVICE + "  day: 2024-01-01\n"
    fields = "replacements:\n- sourceValue: text\n  targets:\n  - {select: {kind: Service}, fieldPaths: [spec.day]}\n"
    with pytest.raises(KustomizeError, match="cannot decode !!str `text` as a !!timestamp"):
        only(text, fields)


REPLACED = """\
replacements:
- sourceValue: VALUE
  targets:
  - {select: {kind: ConfigMap}, fieldPaths: [PATHS], options: {create: true}}
"""
TEXTS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: x}
data:
  json: '{"a": 1, "tiny": 1e-9, "whole": 1.0, "large": 1e16, "list": []}'
  yaml: "a: 1\\nlist: [x]\\n"
"""


def replaced(value: str, paths: str) -> dict[str, Any]:
    data: dict[str, Any] = only(TEXTS, REPLACED.replace("VALUE", value).replace("PATHS", paths))["data"]
    return data


def test_numbers_in_text_of_json_are_spelt_as_go_spells_them() -> None:
    assert replaced('"5"', "data.json.list.0")["json"] == (
        '{"a":1,"large":10000000000000000,"list":[5],"tiny":1e-9,"whole":1}'
    )


def test_a_value_of_the_wrong_type_in_text_gets_a_tag_in_yaml_and_is_lost_in_json() -> None:
    data = replaced("word", "data.yaml.a, data.yaml.list.0, data.json.a")
    assert data["yaml"] == "a: !!int word\nlist: [word]"
    assert '"a": 1' in data["json"]


def test_a_value_is_read_anew_for_each_field() -> None:
    fields = (
        "replacements:\n- source: {kind: Service, fieldPath: metadata.name}\n  targets:\n"
        "  - {select: {kind: Service}, fieldPaths: [metadata.name, spec.other], options: {delimiter: '-', index: 9,"
        " create: true}}\n"
    )
    found = only(SERVICE, fields)
    assert (found["metadata"]["name"], found["spec"]["other"]) == ("web-web", "-web-web")


def test_a_field_needs_a_name() -> None:
    with pytest.raises(KustomizeError, match=r'unable to find or create field "spec\.\.x" in replacement target'):
        only(SERVICE, REPLACED.replace("VALUE", "a").replace("ConfigMap", "Service").replace("PATHS", "spec..x"))


def test_what_is_written_without_a_tag_may_be_a_number() -> None:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: aa}\nspec: {containers: [{name: c, image: a}]}\n"
    found = only(pod, 'namePrefix: 0x\nimages: [{name: a, newName: "12"}]\n')
    assert (found["metadata"]["name"], found["spec"]["containers"][0]["image"]) == (170, 12)


@pytest.mark.parametrize(("fields", "value"), [("", 12), ("patches: [{path: p.yaml, target: {kind: Pod}}]\n", "12")])
def test_a_strategic_patch_makes_text_of_what_has_no_tag(fields: str, value: object) -> None:
    replacement = REPLACED.replace("VALUE", '"12"').replace("ConfigMap", "Pod").replace("PATHS", "spec.size")
    files = {
        "/base/kustomization.yaml": f"resources: [x.yaml]\n{replacement}",
        "/base/x.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n",
        "/top/kustomization.yaml": f"resources: [../base]\n{fields}",
        "/top/p.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {more: a}\n",
    }
    assert built(files, "/top")[0].object["spec"]["size"] == value


@pytest.mark.parametrize(("first", "second", "value"), [('"12"', "word", "word"), ("word", '"12"', 12)])
def test_what_has_no_tag_may_be_replaced_by_anything(first: str, second: str, value: object) -> None:
    fields = REPLACED.replace("ConfigMap", "Service").replace("PATHS", "spec.new")
    fields += fields.replace("replacements:\n", "")
    found = only(SERVICE, fields.replace("VALUE", first, 1).replace("VALUE", second))
    assert found["spec"]["new"] == value


def test_an_item_that_is_made_for_a_path_has_a_key_without_a_tag() -> None:
    found = only(
        SERVICE, REPLACED.replace("VALUE", "a").replace("ConfigMap", "Service").replace("PATHS", '"l.[n=5].v"')
    )
    assert found["l"] == [{"n": 5, "v": "a"}]


def test_a_value_that_is_added_has_no_tag() -> None:
    plugin = (
        "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata: {name: t}\nvalue: '12'\n"
        "targets: [{fieldPath: spec/size}]\n"
    )
    assert only(SERVICE, "transformers: [t.yaml]\n", t=plugin)["spec"]["size"] == 12


def test_only_the_first_document_between_two_separators_counts() -> None:
    more = "apiVersion: v1\nkind: Service\nmetadata: {name: more}\n"
    assert only(f"{SERVICE}...\n{more}", "")["metadata"]["name"] == "web"
    for text in (f"{SERVICE}---\n...\n", f"%YAML 1.2\n---\n{SERVICE}"):
        with pytest.raises(KustomizeError, match=r"x\.yaml"):
            only(text, "")


COMMENTED = """\
# of all

# of a
a: # behind a
    # of b
    b: x   # behind b
    # below b
# above the list
list:
  - 1 # behind the first
  # below the first

  # of the second
  - k: v
    # of l
    l: |  # behind the bar
      # text
# below the list

# lone

flow: {a: b} # behind braces
nothing:   # empty
last: x
# below all
"""
REWRITTEN = """\
# of all

# of a
a: # behind a
  # of b
  b: new # behind b
  # below b
# above the list
list:
- 1 # behind the first
# below the first

# of the second
- k: v
  # of l
  l: | # behind the bar
    # text
# below the list

# lone
flow: {a: b} # behind braces
nothing: # empty
last: x
# below all"""


def test_a_replacement_in_text_of_yaml_keeps_its_comments() -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  yaml: |\n"
    text += "".join(f"    {line}\n" if line else "\n" for line in COMMENTED.splitlines())
    found = only(text, REPLACED.replace("VALUE", "new").replace("PATHS", "data.yaml.a.b"))
    assert found["data"]["yaml"] == REWRITTEN


def test_a_float_in_text_of_yaml_stays_one() -> None:
    text = TEXTS.replace("a: 1", "a: 1.5")
    found = only(text, REPLACED.replace("VALUE", '"2"').replace("PATHS", "data.yaml.a, data.yaml.list.1"))
    assert found["data"]["yaml"] == "a: !!float 2\nlist: [x, 2]"
