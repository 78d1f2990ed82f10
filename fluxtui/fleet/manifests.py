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
LEVEL = 3
DICTIONARY = 32 << 10
"""Bytes of the dictionary."""
SEGMENT, MATCH = 512, 6
"""Parameters k and d of its training (zdict.h, COVER): what Flux objects share are long pieces, not words."""
ENOUGH = 1000
"""Objects from which the dictionary is learned; with fewer it isn't worth it."""
SAMPLES = 500
FRESH = 512 << 10
"""Bytes of JSON that wait to be packed together: one by one they would cost three times as much, since the compressor's
tables would have to come back into the processor's cache each time, and what changes often changes before it is packed.
Some 1 ms of work."""
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
        self._fresh: dict[Ref, bytes] = {}
        """Not packed yet; newer than what is."""
        self._taken = 0
        """Bytes that came since the last packing."""
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)
        self._decompressor = zstandard.ZstdDecompressor()
        self._enough = asyncio.Event()
        self._is_trained = False

    def __len__(self) -> int:
        return len(self._packed.keys() | self._fresh.keys())

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return sum(map(len, self._packed.values())) + sum(map(len, self._fresh.values()))

    def pack(self, json: bytes) -> bytes:
        """An object's JSON as it is kept."""
        # The compressor's own bytes lie in a buffer as large as it might have needed.
        return bytes(memoryview(self._compressor.compress(json)))

    def put(self, objects: Iterable[tuple[Ref, bytes]]) -> None:
        """Keep packed objects, in place of what was kept of them."""
        for ref, packed in objects:
            self._packed[ref] = self._repacked(packed) if self._is_trained else packed
            self._fresh.pop(ref, None)
        if len(self._packed) >= ENOUGH:
            self._enough.set()

    def take(self, objects: Iterable[tuple[Ref, bytes]]) -> None:
        """Keep objects given as JSON, in place of what was kept of them."""
        for ref, json in objects:
            self._fresh[ref] = json
            self._taken += len(json)
        if self._taken >= FRESH:
            fresh, self._fresh, self._taken = self._fresh, {}, 0
            self.put((ref, self.pack(json)) for ref, json in fresh.items())

    def forget(self, refs: Iterable[Ref]) -> None:
        """Let objects go; those that are not kept are ignored."""
        for ref in refs:
            self._packed.pop(ref, None)
            self._fresh.pop(ref, None)

    def get(self, ref: Ref) -> dict[str, Any] | None:
        """A whole object as it came; None when it is not kept."""
        json = self._fresh.get(ref)
        if json is None:
            packed = self._packed.get(ref)
            json = self._decompressor.decompress(packed) if packed is not None else b"null"
        found: dict[str, Any] | None = msgspec.json.decode(json)
        return found

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
