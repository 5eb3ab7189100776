"""Take apart the stream in which an engine sends a container's two outputs at once."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAME_BYTES_MAX = 2**22
"""Engines cut lines at 16 KiB, so that more is no frame but another protocol."""
_HEAD = struct.Struct(">BxxxI")


class Frames:
    """A stream of frames: one byte says which output, four how long it is.

    Source:
        Docker's API reference, "Attach to a container", "Stream format".
    """

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._rest = bytearray()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the content of each frame that is complete now.

        Raises:
            errors.PeerError: these are no frames.
        """
        self._rest += piece
        while len(self._rest) >= _HEAD.size:
            output, length = _HEAD.unpack_from(self._rest)
            if output > 2 or length > FRAME_BYTES_MAX:
                raise errors.PeerError(
                    "the engine's stream of a container's output has no frames; is it an engine?",
                    side="upstream",
                    retry=False,
                )
            end = _HEAD.size + length
            if len(self._rest) < end:
                return
            content = bytes(self._rest[_HEAD.size : end])
            del self._rest[:end]
            yield content
