"""Reconcilers of the kustomize.toolkit.fluxcd.io kinds."""
