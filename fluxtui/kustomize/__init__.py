"""A kustomize builder as a library: a directory in, resources out.

    from fluxtui.kustomize import build
    print(build("overlays/production").to_yaml())

No cluster, no I/O but the files it is given, and nothing is fetched or run unless `Options.remotes` and `Options.helm`
say so; imports nothing else of the project, keeps nothing.
"""

from fluxtui.kustomize.build import Options, build
from fluxtui.kustomize.errors import KustomizeError, Unsupported
from fluxtui.kustomize.helm import Helm
from fluxtui.kustomize.remotes import Remotes
from fluxtui.kustomize.resources import Resource, Resources

__all__ = ["Helm", "KustomizeError", "Options", "Remotes", "Resource", "Resources", "Unsupported", "build"]
