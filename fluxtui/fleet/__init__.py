"""What N clusters look like and what may be done to them: rows, mirror, tree, query, trace, commands.

No Textual type and nothing of the engine lives here: upstream Flux and our engine look the same from this room.
"""
