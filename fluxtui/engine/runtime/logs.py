"""Log lines as controller-runtime writes them: one JSON object a line, with the identity of the object it is about.

Lines go to stderr and to a bounded file, written by a thread of its own, so that a reader who stands still never holds
up the engine.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path

FILE_LIMIT = 8 << 20
"""Bytes of a log file; one older file is kept beside it as `<name>.1`."""
_BACKLOG = 10_000


class JsonFormatter(logging.Formatter):
    """level, ts, logger, msg, then the fields given as `extra={"fields": {...}}`, error and stacktrace."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "level": "error" if record.levelno >= logging.ERROR else _LEVELS.get(record.levelno, "info"),
            "ts": moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z",
        }
        if not hasattr(record, "fields"):
            line["logger"] = record.name.removeprefix("fluxtui.")
        line["msg"] = record.getMessage()
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1] is not None:
            line.setdefault("error", str(record.exc_info[1]))
            line["stacktrace"] = "".join(traceback.format_exception(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=False, default=str, separators=(",", ":"))


class _Handler(QueueHandler):
    """Drops lines when nobody takes them, rather than waiting or growing."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            return


@contextmanager
def logging_to(level: int, file: Path | None = None, *, stderr: bool = True) -> Iterator[None]:
    """Send the log of the process to stderr and, if given, to a file. Raises OSError when the file can't be opened."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)] if stderr else []
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(RotatingFileHandler(file, maxBytes=FILE_LIMIT, backupCount=1, encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(JsonFormatter())
    front = _Handler(queue.Queue(_BACKLOG))
    listener = QueueListener(front.queue, *handlers)
    # It tells of every change of a watched directory, such as one that this log is in.
    logging.getLogger("watchfiles").setLevel(max(level, logging.WARNING))
    root = logging.getLogger()
    before = root.level
    root.addHandler(front)
    root.setLevel(level)
    listener.start()
    try:
        yield
    finally:
        root.removeHandler(front)
        root.setLevel(before)
        listener.stop()
        for handler in handlers:
            if isinstance(handler, RotatingFileHandler):
                handler.close()


_LEVELS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "info"}
