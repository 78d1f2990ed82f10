"""The Textual app: screens, widgets, keys, columns.

The only room that imports Textual. It knows the fleet and, through it, nothing but the Kubernetes API.
"""
