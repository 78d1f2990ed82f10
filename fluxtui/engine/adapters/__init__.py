"""One file per outside tool (git, helm, …); blocking calls are kept off the event loop here.

Each adapter translates its tool's errors once, cause chained.
"""
