"""Reconcilers of the helm.toolkit.fluxcd.io kinds."""
