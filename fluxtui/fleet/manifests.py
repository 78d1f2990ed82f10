"""The full objects of the fleet in memory, compressed: what the watches brought, as JSON, by ref.

zstd with a dictionary that is learned from the first objects of this very fleet: some 0.5 kB for an object of 6 kB.
Nothing of it is ever written anywhere. The package zstandard is an extra, imported when the first `Manifests` is made.
"""

from __future__ import annotations

import asyncio
import importlib.util
import random
from collections.abc import Iterable
from typing import Any

import msgspec

from fluxtui.fleet.refs import Ref

EXTRA = "objects are kept with the package zstandard, which is not installed: pip install 'fluxtui[zstd]'"
LEVEL = 1
"""Higher ones save a twentieth and take a third longer."""
DICTIONARY = 32 << 10
"""Bytes of the dictionary."""
SEGMENT, MATCH = 512, 6
"""Parameters k and d of its training (zdict.h, COVER): what Flux objects share are long pieces, not words."""
ENOUGH = 1000
"""Objects from which the dictionary is learned; with fewer it isn't worth it."""
SAMPLES = 500
CHUNK = 50
"""Objects packed anew before the loop may do something else: some 1 ms."""


def is_possible() -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec("zstandard") is not None


class Manifests:
    """The JSON of objects, packed. All but the training happens in the loop's thread."""

    def __init__(self) -> None:
        """Raises ImportError without the package zstandard."""
        import zstandard

        self._packed: dict[Ref, bytes] = {}
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)
        self._decompressor = zstandard.ZstdDecompressor()
        self._enough = asyncio.Event()
        self._is_trained = False

    def __len__(self) -> int:
        return len(self._packed)

    def pack(self, json: bytes) -> bytes:
        """An object as it is kept; `json` is its own or that of the watch event that brought it."""
        # The compressor's own bytes lie in a buffer as large as it might have needed.
        return bytes(memoryview(self._compressor.compress(json)))

    def put(self, refs: Iterable[Ref], packed: Iterable[bytes]) -> None:
        """Keep packed objects, in place of what was kept of them."""
        for ref, each in zip(refs, packed, strict=True):
            self._packed[ref] = self._repacked(each) if self._is_trained else each
        if len(self._packed) >= ENOUGH:
            self._enough.set()

    def forget(self, refs: Iterable[Ref]) -> None:
        """Let objects go; those that are not kept are ignored."""
        for ref in refs:
            self._packed.pop(ref, None)

    def get(self, ref: Ref) -> dict[str, Any] | None:
        """A whole object as it came; None when it is not kept."""
        packed = self._packed.get(ref)
        if packed is None:
            return None
        found = msgspec.json.decode(self._decompressor.decompress(packed))
        # Objects have metadata, events have none.
        obj: dict[str, Any] = found if "metadata" in found else found["object"]
        return obj

    async def run(self) -> None:
        """Learn what the objects have in common once there are enough of them, and pack those anew that are there."""
        import zstandard

        await self._enough.wait()
        chosen = random.sample(list(self._packed.values()), min(SAMPLES, len(self._packed)))
        samples: list[bytes | bytearray | memoryview] = [self._decompressor.decompress(each) for each in chosen]
        dictionary = await asyncio.to_thread(zstandard.train_dictionary, DICTIONARY, samples, k=SEGMENT, d=MATCH)
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=dictionary)
        self._decompressor = zstandard.ZstdDecompressor(dict_data=dictionary)
        self._is_trained = True
        for index, (ref, packed) in enumerate(list(self._packed.items())):
            if self._packed.get(ref) is packed:
                self._packed[ref] = self._repacked(packed)
            if index % CHUNK == CHUNK - 1:
                await asyncio.sleep(0)

    def _repacked(self, packed: bytes) -> bytes:
        """The same packed with the dictionary, if it is not."""
        # A frame that was made without one names none (RFC 8878, 3.1.1.1.1.6).
        return packed if packed[4] & 3 else self.pack(self._decompressor.decompress(packed))
