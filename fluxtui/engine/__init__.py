"""The GitOps engine: Flux's controllers in Python, one reconciler per cluster.

Controllers meet only in object status and the artifact store, as upstream's do.
"""
