"""Talking to API servers: kubeconfig, transport, watch, apply, discovery, errors.

The only room that imports kubernetes_asyncio, and that only after the first frame, in a thread.
"""
