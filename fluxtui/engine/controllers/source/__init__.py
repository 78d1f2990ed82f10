"""Reconcilers of the source.toolkit.fluxcd.io kinds."""
