"""Reconcilers, one package a toolkit; siblings that never import each other."""
