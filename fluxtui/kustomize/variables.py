"""`vars`: values of fields put in the place of `$(NAME)` in other fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fluxtui.kustomize.errors import BuildError
from fluxtui.kustomize.fieldpaths import MISSING, lookup, parsed, with_indexes
from fluxtui.kustomize.fieldspecs import FieldSpec, visit
from fluxtui.kustomize.identities import Gvk, Id, gvk_of
from fluxtui.kustomize.kustomization import FieldReference, Var
from fluxtui.kustomize.resources import Resource, Resources
from fluxtui.kustomize.scalars import Plain, Tree, finished, is_null, text_of

Scalar = str | int | float | bool


def gvk_of_var(var: Var) -> Gvk:
    """The kind that a var reads from."""
    target = var.objref
    if not target.api_version:
        return Gvk(target.group, target.version, target.kind)
    return gvk_of(target.api_version, target.kind)


class Variables:
    """The vars of a kustomization and of those that it builds on, by name."""

    def __init__(self) -> None:
        self._vars: dict[str, Var] = {}

    def add(self, variables: Iterable[Var]) -> None:
        """Take in more vars. Raises BuildError when a name is taken."""
        for var in variables:
            if var.name in self._vars:
                raise BuildError(f"var '{var.name}' already encountered")
            path = var.fieldref.field_path or "metadata.name"
            self._vars[var.name] = msgspec.structs.replace(var, fieldref=FieldReference(field_path=path))

    def absorb(self, other: Variables) -> None:
        """Take in the vars of a kustomization that this one builds on. Raises BuildError."""
        self.add(other._vars.values())

    def resolve(self, resources: Resources, specs: Iterable[FieldSpec]) -> None:
        """Replace all references. Raises BuildError when a var has no value."""
        values = {name: _value(var, resources) for name, var in sorted(self._vars.items())}
        if not values:
            return

        def act(container: Any, key: Any) -> None:
            _expand(container, key, values)

        fields = list(specs)
        for resource in resources:
            gvk = resource.gvk
            for spec in fields:
                if spec.fits(gvk):
                    visit(resource.object, spec, act)


def bind(resources: Resources, variables: Iterable[Var]) -> None:
    """Note in resources which vars read from them. Raises BuildError when a var fits several."""
    for var in variables:
        gvk, target = gvk_of_var(var), var.objref
        found = [resource for resource in resources if _is_meant(resource, gvk, target.name, target.namespace)]
        if len(found) > 1:
            raise BuildError(f"found {len(found)} resId matches for var {var.name} (unable to disambiguate)")
        if found:
            found[0].variables.append(var.name)


def _is_meant(resource: Resource, gvk: Gvk, name: str, namespace: str) -> bool:
    if not resource.object:
        return False
    wanted = Id(gvk, namespace, name).key
    return any(
        item.gvk == gvk and item.name == name and (not namespace or item.key == wanted)
        for item in (*resource.previous_ids, resource.id)
    )


def _value(var: Var, resources: Resources) -> Tree:
    for resource in resources:
        if var.name in resource.variables:
            path = with_indexes(parsed(var.fieldref.field_path))
            try:
                found = lookup(resource.object, path)
            except BuildError:
                found = MISSING
            if found is MISSING:
                raise BuildError(
                    f"field {var.fieldref.field_path} specified in var '{var.name}' not found in corresponding resource"
                )
            return found
    raise BuildError(f"var '{var.name}' cannot be mapped to a field in the set of known resources")


def _expand(container: Any, key: Any, values: Mapping[str, Tree]) -> None:
    node = container[key]
    if isinstance(node, dict):
        for name, value in node.items():
            if isinstance(value, str):
                node[name] = expanded(str(value), values)
    elif isinstance(node, list):
        for index, item in enumerate(node):
            if not isinstance(item, str):
                raise BuildError("invalid value type expect a string")
            node[index] = expanded(str(item), values)
    elif isinstance(node, str):
        container[key] = expanded(str(node), values)


def expanded(text: str, values: Mapping[str, Tree]) -> Tree:
    """A text with `$(NAME)` replaced; one that is nothing else becomes the value with its type. `$$` is a dollar."""
    result: list[str] = []
    done = at = 0
    while at < len(text) - 1:
        if text[at] != "$":
            at += 1
            continue
        result.append(text[done:at])
        following = text[at + 1]
        close = text.find(")", at + 2)
        if following == "(" and close >= 0:
            name = text[at + 2 : close]
            value = _scalar(values[name]) if name in values else None
            if value is not None and at == 0 and close == len(text) - 1:
                return value
            result.append(f"$({name})" if value is None else _printed(value))
            at = close + 1
        else:
            result.append("$" if following == "$" else f"${following}")
            at += 2
        done = at
    return "".join(result) + text[done:]


def _scalar(tree: Tree) -> Scalar | None:
    """A value that can be put into a text; None for lists and maps."""
    if isinstance(tree, dict | list):
        return None
    if isinstance(tree, str) or is_null(tree) or (type(tree) is Plain and isinstance(tree.value, str)):
        return text_of(tree)
    value = finished(tree)
    assert isinstance(value, str | int | float)
    return value


def _printed(value: Scalar) -> str:
    return repr(value) if isinstance(value, float) else text_of(value)
