"""Render thumbnails of the originals, and count who looked at them.

In:    the originals by photo id; a SQLite file.
Out:   JPEG bytes and their validator; one row counted a view, in a transaction.
Not:   HTTP; keeping a thumbnail.
Next:  app.py serves them.
"""

import hashlib
import io
import os
import sqlite3
import threading
from pathlib import Path

import PIL
from PIL import Image

QUALITY = 85


class Views:
    """Count views in SQLite (write-ahead log), one transaction a view; safe from any thread."""

    def __init__(self, file: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS views"
            " (photo TEXT, width INTEGER, views INTEGER NOT NULL, PRIMARY KEY (photo, width))"
        )

    def record(self, photo: str, width: int) -> None:
        """Count one view of a photo at a width."""
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "INSERT INTO views VALUES (?, ?, 1)"
                " ON CONFLICT (photo, width) DO UPDATE SET views = views + 1",
                (photo, width),
            )

    def total(self) -> int:
        """Return how many views were ever counted."""
        with self._lock:
            found = self._db.execute("SELECT COALESCE(SUM(views), 0) FROM views")
            total: int = found.fetchone()[0]
        return total

    def close(self) -> None:
        """Close the database; its log is folded in."""
        with self._lock:
            self._db.close()


class Studio:
    """Hold the originals and render thumbnails of them, at most one a core at a time."""

    def __init__(self, photos: dict[str, Path]) -> None:
        self.photos = photos
        self.renders = 0  # since the start
        self._count = threading.Lock()
        self._cores = threading.BoundedSemaphore(os.cpu_count() or 1)

    def etag(self, photo: str, width: int) -> str:
        """Return the strong validator of a thumbnail, without rendering it.

        Made of all its bytes depend on: the original's name and length, the width, the renderer.
        """
        file = self.photos[photo]
        made_of = f"{file.name} {file.stat().st_size} {width} {QUALITY} {PIL.__version__}"
        return f'"{hashlib.sha256(made_of.encode()).hexdigest()[:24]}"'

    def render(self, photo: str, width: int) -> bytes:
        """Return a photo as a JPEG of a width in pixels; 20 to 100 ms of one core."""
        with self._cores:
            with Image.open(self.photos[photo]) as original:
                height = max(1, round(original.height * width / original.width))
                small = original.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
            encoded = io.BytesIO()
            small.save(encoded, "JPEG", quality=QUALITY)
        with self._count:
            self.renders += 1
        return encoded.getvalue()
