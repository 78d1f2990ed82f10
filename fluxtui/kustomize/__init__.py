"""A kustomize builder as a library: a directory in, resources out.

    from fluxtui.kustomize import build
    print(build("overlays/production").to_yaml())

No cluster, no network, no I/O but the files it is given; imports nothing else of the project.
"""

from fluxtui.kustomize.build import Options, build
from fluxtui.kustomize.errors import KustomizeError, Unsupported
from fluxtui.kustomize.resources import Resource, Resources

__all__ = ["KustomizeError", "Options", "Resource", "Resources", "Unsupported", "build"]
