"""Screens of the console: they own the state, handle the messages of their widgets and call the fleet."""
