"""The settings file as frozen structs; a leaf."""
