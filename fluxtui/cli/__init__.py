"""Commands: one file a verb group, output formats, exit codes.

Wires the rooms together: only cli and __main__ may see both the console and the engine. Heavy imports
(textual, kubernetes_asyncio, git) happen inside the command that needs them, so that every command starts fast.
"""
