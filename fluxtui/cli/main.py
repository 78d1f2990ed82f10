"""The `fluxtui` command: a table of commands, each imported only when it is called."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

import click

import fluxtui

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: dict[str, tuple[str, str]] = {
    "console": ("fluxtui.cli.console", "Open the fleet console (what `fluxtui` alone does)."),
    "get": ("fluxtui.cli.get", "List Flux objects of all selected clusters."),
    "reconcile": ("fluxtui.cli.reconcile", "Reconcile objects and wait for the outcome."),
    "suspend": ("fluxtui.cli.suspend", "Suspend the reconciliation of objects."),
    "resume": ("fluxtui.cli.resume", "Resume suspended objects and wait for the outcome."),
    "tree": ("fluxtui.cli.tree", "Print what an object manages, as a tree."),
    "trace": ("fluxtui.cli.trace", "Print the chain from an object to its source."),
    "stats": ("fluxtui.cli.stats", "Count objects, failures and storage, kind by kind."),
    "events": ("fluxtui.cli.events", "List the events about Flux objects."),
    "logs": ("fluxtui.cli.logs", "Print the logs of what reconciles the clusters."),
    "diff": ("fluxtui.cli.diff", "Show what Kustomizations would change, without changing it."),
    "build": ("fluxtui.cli.build", "Build a kustomization directory, or a Kustomization."),
    "debug": ("fluxtui.cli.debug", "Print variables, status and history of a Kustomization."),
    "envsubst": ("fluxtui.cli.envsubst", "Substitute environment variables in a text, as Flux does."),
    "create": ("fluxtui.cli.create", "Make or change a GitRepository or a Kustomization."),
    "export": ("fluxtui.cli.export", "Print objects as YAML that can be applied elsewhere."),
    "delete": ("fluxtui.cli.delete", "Delete objects, after having asked."),
    "engine": ("fluxtui.cli.engine", "Run the GitOps engine for clusters without Flux controllers."),
    "install": ("fluxtui.cli.install", "Install the Flux CRDs and the flux-system namespace."),
    "uninstall": ("fluxtui.cli.uninstall", "Remove what install has put there."),
    "sandbox": ("fluxtui.cli.sandbox", "Serve API servers in process, on loopback."),
    "demo": ("fluxtui.cli.demo", "A sandbox fleet, its engine and the console, in one command."),
    "check": ("fluxtui.cli.check", "Check the selected clusters and what runs Flux there."),
    "version": ("fluxtui.cli.version", "Print the versions of fluxtui and of Flux on the clusters."),
}
"""Command name → (module, one-line help). The module's `command` is a `click.Command`."""


INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""
PIPE_CLOSED = 141
"""Exit code when the reader of stdout is gone (`| head`), as shells have it."""


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command runs; help texts come from the table.

    Without a command, options are the console's: `fluxtui --ascii` is `fluxtui console --ascii`.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an interruption and a closed pipe end the program with the exit codes of shells."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            # What is still buffered goes nowhere, so that the interpreter has nothing to complain about at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(PIPE_CLOSED)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # While a shell completes the first word, that word is no argument yet.
        if not args and ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help", "--version")):
            args = ["console", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names. Raises click.UsageError that says which may be meant."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"no such command {args[0]!r}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        gc.freeze()
        gc.enable()
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What the first word may be: a command, by the table alone, or an option of the console's or of our own."""
        from click.shell_completion import CompletionItem

        if not incomplete.startswith("-"):
            return [
                CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)
            ]
        found = click.Command.shell_complete(self, ctx, incomplete)
        console = self.get_command(ctx, "console")
        if console is not None:
            known = {item.value for item in found}
            options = console.shell_complete(click.Context(console, info_name="console", parent=ctx), incomplete)
            found += [item for item in options if item.value not in known]
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(fluxtui.__version__, prog_name="fluxtui")
def cli() -> None:
    """A terminal fleet console and GitOps engine for Flux CD.

    Without a command, the console opens; its options may follow directly.

    Completion of commands and options: eval "$(_FLUXTUI_COMPLETE=bash_source fluxtui)" in the shell's start-up file;
    zsh_source and fish_source for those shells.
    """
