"""The engine process: every reconciler of every embedded cluster, started, watched and stopped together."""
