"""Entry point of the `fluxtui` command and of `python -m fluxtui`."""

from __future__ import annotations


def main() -> None:
    """Run the command line; exits the process with the command's exit code."""
    import gc
    import sys

    # What is imported stays: to look through it for garbage, again and again, would cost a tenth of the start.
    gc.disable()
    if not sys.argv[1:] or sys.argv[1] in ("console", "demo") or sys.argv[1].startswith("--"):
        from fluxtui.bytecode import share_compiling

        share_compiling()
    from fluxtui.cli.main import cli

    cli(prog_name="fluxtui")


if __name__ == "__main__":
    main()
