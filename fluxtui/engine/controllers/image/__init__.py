"""Reconcilers of the image.toolkit.fluxcd.io kinds; the engine has none yet."""
