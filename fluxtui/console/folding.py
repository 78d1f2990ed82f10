"""What is open in the tree, as a value: opening, closing, closing all below, and showing one object."""

from __future__ import annotations

import msgspec

from fluxtui.api.kinds import Category
from fluxtui.fleet.lines import Key, Line, Shape, cluster_key, group_key
from fluxtui.fleet.mirror import Mirror
from fluxtui.fleet.refs import Ref
from fluxtui.fleet.tree import Tree

FEW_CLUSTERS = 3
"""Up to so many clusters, all is open at the start."""


def toggled(shape: Shape, line: Line, *, opened: bool) -> Shape:
    """The shape with a line's branch opened or closed, also where it is open by itself (a filter is on)."""
    return with_keys(shape, [line.key], opened=opened)


def with_keys(shape: Shape, keys: list[Key], *, opened: bool) -> Shape:
    """The shape with several branches opened or closed."""
    if opened:
        return msgspec.structs.replace(shape, expanded=shape.expanded | set(keys), folded=shape.folded - set(keys))
    return msgspec.structs.replace(shape, expanded=shape.expanded - set(keys), folded=shape.folded | set(keys))


def toggled_below(shape: Shape, tree: Tree, line: Line, *, opened: bool) -> Shape:
    """The shape with a line and everything below it opened or closed; objects are closed but not opened with it,
    since an open object costs its cluster requests."""
    shape = toggled(shape, line, opened=opened)
    lines = tree.flatten(shape if opened else toggled(shape, line, opened=True))
    start = next((index for index, each in enumerate(lines) if each.key == line.key), len(lines))
    keys: list[Key] = []
    for each in lines[start + 1 :]:
        if each.depth <= line.depth:
            break
        if each.opens and (each.ref is None or not opened):
            keys.append(each.key)
    return with_keys(shape, keys, opened=opened)


def first_shape(shape: Shape, mirror: Mirror) -> Shape:
    """The shape of the first look: a small fleet lies open, of a large one the clusters are seen."""
    clusters = list(mirror.clusters)
    if not clusters or len(clusters) > FEW_CLUSTERS:
        return shape
    keys: list[Key] = [cluster_key(cluster) for cluster in clusters]
    keys += [group_key(cluster, category) for cluster in clusters for category in Category]
    return with_keys(shape, keys, opened=True)


def showing(shape: Shape, mirror: Mirror, ref: Ref) -> Shape:
    """The shape with everything open that leads to an object in the view by kind; other views find it as they are."""
    row = mirror.rows.get(ref)
    keys: list[Key] = [cluster_key(ref.cluster)]
    if row:
        keys.append(group_key(ref.cluster, row.category))
    owner = row.owner if row else next(iter(mirror.owners(ref)), None)
    path: list[Ref] = []
    while owner is not None and owner in mirror.rows and owner not in path:
        path.append(owner)
        owner = mirror.rows[owner].owner
    key: Key | None = None
    for each in reversed(path):
        key = each if key is None else (key, each)
        keys.append(key)
        keys.append(each)
    return with_keys(shape, keys, opened=True)
