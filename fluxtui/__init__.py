"""fluxtui: a terminal fleet console and GitOps engine for Flux CD."""

__version__ = "0.1.0"
