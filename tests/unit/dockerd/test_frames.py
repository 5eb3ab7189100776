"""A stream of frames is taken apart wherever it was cut."""

import struct

import pytest

from alongside.base import errors
from alongside.dockerd import frames


def frame(content: bytes, output: int = 1) -> bytes:
    return struct.pack(">BxxxI", output, len(content)) + content


def test_frames_are_found_wherever_the_stream_is_cut() -> None:
    stream = frame(b"one\n") + frame(b"", 2) + frame(b"x" * 5000, 2) + frame(b"end")
    for size in (1, 2, 7, 8, 9, 4096, len(stream)):
        split = frames.Frames()
        found: list[bytes] = []
        for start in range(0, len(stream), size):
            found += split.feed(stream[start : start + size])
        assert found == [b"one\n", b"", b"x" * 5000, b"end"]


@pytest.mark.parametrize("stream", [b"HTTP/1.1 200 OK", struct.pack(">BxxxI", 1, 2**31)])
def test_what_is_no_frame_is_refused(stream: bytes) -> None:
    with pytest.raises(errors.PeerError):
        list(frames.Frames().feed(stream))
