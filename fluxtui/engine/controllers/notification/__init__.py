"""Reconcilers of the notification.toolkit.fluxcd.io kinds; the engine has none yet."""
