"""Limits of the process that a fleet of watches runs into."""

from __future__ import annotations

import contextlib


def raise_open_files(wanted: int = 65536) -> int:
    """Raise the soft limit of open files towards `wanted`, as far as the hard limit goes; call once at start.

    Returns the limit that holds now; 0 where the system has none to tell. A hundred clusters over HTTP/1.1 want some
    two thousand connections, and common soft limits are 1024 and 256.
    """
    try:
        import resource
    except ImportError:
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    while target > soft:
        # macOS refuses more than kern.maxfilesperproc though its hard limit says "unlimited".
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
            break
        target //= 2
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
