"""Programs of the machine: run without a terminal, bounded, ended with all they started."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

OUTPUT_LIMIT = 32 << 20
"""Most bytes read from a program."""


class ProgramError(Exception):
    """A program did not behave; `str()` is a sentence for users."""


class Finished(msgspec.Struct, frozen=True):
    """How a program ended and what it printed, as text."""

    code: int
    output: str
    errors: str


async def execute(
    program: str,
    arguments: Sequence[str],
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: Path | None = None,
) -> Finished:
    """Run a program to its end; its input is a file or nothing, its environment and directory are ours if not given.

    It is killed with all its children when the caller is cancelled or it prints too much. Raises ProgramError.
    """
    source = await asyncio.to_thread(os.open, stdin or os.devnull, os.O_RDONLY)
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            env=env,
            cwd=cwd,
            stdin=source,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise ProgramError(f"{program} can't be started: {error.strerror or error}") from error
    finally:
        os.close(source)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        output, errors = await asyncio.gather(_read(process.stdout), _read(process.stderr))
        code = await process.wait()
    except BaseException as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if isinstance(error, ProgramError):
            raise ProgramError(f"{os.path.basename(program)} {error}") from error
        raise
    return Finished(code, output, errors)


async def _read(stream: asyncio.StreamReader) -> str:
    chunks, size = [], 0
    while chunk := await stream.read(1 << 16):
        size += len(chunk)
        if size > OUTPUT_LIMIT:
            raise ProgramError(f"printed more than {OUTPUT_LIMIT >> 20} MiB")
        chunks.append(chunk)
    return b"".join(chunks).decode("utf-8", "replace")
