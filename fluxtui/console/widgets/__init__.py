"""Widgets of the console: each draws and posts messages, and none of them awaits a cluster."""
