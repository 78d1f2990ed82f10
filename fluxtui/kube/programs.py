"""Programs of the machine: run without a terminal, bounded, ended with all they started."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

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
    try:
        # Not in a thread, whose file nobody would close if we were cancelled meanwhile.
        source = os.open(stdin or os.devnull, os.O_RDONLY)
        try:
            process = await start(program, *arguments, env=env, cwd=cwd, stdin=source, start_new_session=True)
        finally:
            os.close(source)
    except OSError as error:
        raise ProgramError(f"{program} can't be started: {error.strerror or error}") from error
    except ValueError as error:
        raise ProgramError(f"{program} can't be started: {error}") from error
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        output, errors = await asyncio.gather(_read(process.stdout), _read(process.stderr))
        code = await process.wait()
    except BaseException as error:
        await end(process)
        if isinstance(error, ProgramError):
            raise ProgramError(f"{os.path.basename(program)} {error}") from error
        raise
    return Finished(code, output, errors)


async def start(program: str, *arguments: str, group: bool = True, **options: Any) -> asyncio.subprocess.Process:
    """A program at work; its outputs are pipes unless `options`, those of `create_subprocess_exec`, say otherwise.

    Cancelled while it starts, asyncio would kill the program alone, and wait for all who hold its pipes; here it is
    ended as `end` does, with `group` as there. Raises OSError and ValueError.
    """
    pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    starting = asyncio.ensure_future(asyncio.create_subprocess_exec(program, *arguments, **{**pipes, **options}))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting])
        if starting.exception() is None:
            await end(starting.result(), group=group)
        raise


async def end(process: asyncio.subprocess.Process, *, group: bool = True) -> None:
    """Kill a program, with all of its `group`, whose leader it is, and close its pipes, whoever else holds them."""
    with suppress(ProcessLookupError, PermissionError):
        if group:
            os.killpg(process.pid, signal.SIGKILL)
        elif process.returncode is None:
            process.kill()
    known: Any = process
    for number in range(3):
        pipe = known._transport.get_pipe_transport(number)
        if pipe is not None:
            pipe.close()
    await process.wait()


async def _read(stream: asyncio.StreamReader) -> str:
    chunks, size = [], 0
    while chunk := await stream.read(1 << 16):
        size += len(chunk)
        if size > OUTPUT_LIMIT:
            raise ProgramError(f"printed more than {OUTPUT_LIMIT >> 20} MiB")
        chunks.append(chunk)
    return b"".join(chunks).decode("utf-8", "replace")
