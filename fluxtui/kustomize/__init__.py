"""A kustomize builder as a library: a directory in, resources out.

No cluster, no network, no I/O but the files it is given; imports nothing else of the project.
"""
