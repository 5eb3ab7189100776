"""Make the originals of the photo service: real pictures, the same ones for the same seed.

In:    a data folder, a number of pictures, a seed.
Out:   a folder of JPEG and PNG files of camera-like size, published at once by a rename.
Not:   serving them; any network.
Next:  app.py calls `ensure` before it listens.
"""

import concurrent.futures
import fcntl
import os
import random
import shutil
from pathlib import Path

from PIL import Image, ImageDraw

SIZES = ((1600, 1200), (1200, 1600), (1600, 1066))  # pixels
PNG_EVERY = 10  # a PNG among so many JPEGs; decoding it costs more
BLOBS = 40  # shapes in a picture


def ensure(data: Path, *, count: int, seed: int) -> dict[str, Path]:
    """Return the originals in a data folder by photo id, made first where they are absent.

    Args:
        data: the folder that holds them; made if it does not exist.
        count: how many pictures.
        seed: the same seed and count give the same pictures.

    Returns:
        id → file. About 70 ms of CPU a picture when made, nothing when found. A start that is cut
        short leaves no half set: files are written aside and the folder renamed when whole.
    """
    data.mkdir(parents=True, exist_ok=True)
    folder = data / f"originals-{seed}-{count}"
    aside = data / f"making-{seed}-{count}"
    with (data / "lock").open("w") as lock:  # two first starts at once make one set
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(lambda number: _make(aside, seed, number), range(count)))
            aside.rename(folder)
    return {file.stem: file for file in sorted(folder.iterdir())}


def _make(folder: Path, seed: int, number: int) -> None:
    """Write one picture: colours, shapes, and grain that makes it as large as a camera's."""
    draw_from = random.Random(f"{seed}/{number}")  # noqa: S311 - pictures, not secrets
    size = SIZES[number % len(SIZES)]
    width, height = size
    soft = Image.frombytes("RGB", (24, 18), draw_from.randbytes(24 * 18 * 3))
    picture = soft.resize(size, Image.Resampling.BICUBIC)
    canvas = ImageDraw.Draw(picture)
    for _ in range(BLOBS):
        x, y = draw_from.randrange(width), draw_from.randrange(height)
        radius = draw_from.randrange(20, width // 8)
        red, green, blue = draw_from.randbytes(3)
        canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(red, green, blue))
    half = (width // 2, height // 2)
    grain = Image.frombytes("L", half, draw_from.randbytes(half[0] * half[1]))
    picture = Image.blend(picture, grain.resize(size).convert("RGB"), 0.08)
    if number % PNG_EVERY == PNG_EVERY - 1:
        picture.save(folder / f"{number}.png", compress_level=1)
    else:
        picture.save(folder / f"{number}.jpg", quality=90)
