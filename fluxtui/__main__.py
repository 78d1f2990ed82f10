"""Entry point of the `fluxtui` command and of `python -m fluxtui`."""

from __future__ import annotations


def main() -> None:
    """Run the command line; exits the process with the command's exit code."""
    import gc

    # What is imported stays: to look through it for garbage, again and again, would cost a tenth of the start.
    gc.disable()
    from fluxtui.cli.main import cli

    cli(prog_name="fluxtui")


if __name__ == "__main__":
    main()
