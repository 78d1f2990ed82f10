"""Access to clouds without stored credentials: a ServiceAccount's token exchanged for the provider's own.

Nothing but HTTPS and the standard library; what exchanges need is in fluxcd/pkg `auth` and RFC-0010 of flux2.
"""
