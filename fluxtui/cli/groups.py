"""Verbs with a kind as their second word, as flux has them: `diff kustomization`, short `diff ks`."""

from __future__ import annotations

from collections.abc import Mapping

import click


class KindGroup(click.Group):
    """A group whose commands have further words."""

    further: Mapping[str, str] = {"ks": "kustomization", "gitrepository": "git"}

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a word; case does not matter."""
        low = cmd_name.lower()
        return super().get_command(ctx, self.further.get(low, low))
