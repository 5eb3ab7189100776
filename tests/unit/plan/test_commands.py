"""Where there are no images, a command is found for each container, or asked for."""

from __future__ import annotations

import pytest

from alongside.base import errors
from alongside.plan import commands, pods
from alongside.resources import problems, texts

KNOWN = commands.Commands(
    written={"example/app": ("app", "--serve"), "tool:2": ("tool2",), "tool": ("tool",)},
    ours={"alongside": ("/venv/python", "-m", "alongside")},
    programs={"nutcracker": ("/venv/python", "-m", "ours")},
)


def words(image: str, *, args: tuple[str, ...] = (), **more: tuple[str, ...]) -> tuple[str, ...]:
    container = pods.Container("c", image=image, args=args, **more)  # type: ignore[arg-type]
    return KNOWN.words(pods.Pod("p", (container,), place="f.yaml:3: Pod/p"), container)


@pytest.mark.parametrize(
    ("image", "args", "expected"),
    [
        ("memcached", (), ["memcached", "-u", "root"]),
        (
            "docker.io/library/memcached:1.6@sha256:00",
            ("-m", "64"),
            ["memcached", "-u", "root", "-m", "64"],
        ),
        ("memcached", ("memcached", "-v"), ["memcached", "-u", "root", "-v"]),
        ("redis:7", ("--port", "1"), ["redis-server", "--port", "1"]),
        ("nginx", (), ["nginx", "-g", "daemon off;"]),
        ("nginx", ("-c", "n.conf"), ["nginx", "-c", "n.conf"]),
        ("redis", ("r.conf",), ["redis-server", "r.conf"]),
        ("python:3.12-slim", ("python3", "x.py"), ["python3", "x.py"]),
        ("node", ("server.js",), ["node", "server.js"]),
        ("node", ("npm", "start"), ["npm", "start"]),
        ("ganomede/twemproxy", ("-c", "n.yaml"), ["/venv/python", "-m", "ours", "-c", "n.yaml"]),
        ("nutcracker:0.5", ("nutcracker", "-t"), ["/venv/python", "-m", "ours", "-t"]),
        ("twemproxy", ("sh", "-c", "nutcracker"), ["sh", "-c", "nutcracker"]),
        ("localhost:5000/example/app", (), None),
        ("example/app:1", ("-x",), ["app", "--serve", "-x"]),
        ("tool:2", (), ["tool2"]),
        ("tool:3", (), ["tool"]),
        ("localhost:5000/alongside:0.1", ("route",), ["/venv/python", "-m", "alongside", "route"]),
        ("unknown", (), None),
        ("", (), None),
    ],
)
def test_an_images_name_stands_for_a_program(
    image: str, args: tuple[str, ...], expected: list[str] | None
) -> None:
    if expected is None:
        with pytest.raises(errors.UsageError):
            words(image, args=args)
    else:
        assert list(words(image, args=args)) == expected


def test_what_a_file_writes_comes_before_what_an_image_stands_for() -> None:
    assert words("memcached", args=("x",), command=("echo",)) == ("echo", "x")
    both = {"command": ("echo",), "stand_in": ("printf",)}
    assert words("memcached", args=("x",), **both) == ("printf", "x")


def test_names_what_to_write_where_nothing_is_known() -> None:
    with pytest.raises(errors.UsageError) as caught:
        words("r.example/strange:1")
    assert str(caught.value) == (
        'nothing says which program of this machine stands for "r.example/strange:1"; write '
        "command: [PROGRAM], the annotation alongside.dev/command.c: PROGRAM, or strange: "
        "[PROGRAM] into a file for --images; with --engine docker the image itself runs"
    )


def read(text: str) -> dict[str, tuple[str, ...]]:
    return commands.read(texts.Source("images.yaml", "/", text))


def test_a_file_of_images_holds_lists_and_lines() -> None:
    assert read("a: [b, 'c d']\n'x/y:1': z -w \"u v\"\n") == {
        "a": ("b", "c d"),
        "x/y:1": ("z", "-w", "u v"),
    }


def test_mistakes_of_a_file_of_images_are_named_with_their_lines() -> None:
    with pytest.raises(problems.ResourceError) as caught:
        read("a: [b]\nc: {d: e}\nf: 'g \"h'\n---\n- i\n")
    assert caught.value.problems == (
        "images.yaml:2: c: it is no command; write [PROGRAM, ARGUMENT, ...] or one line of text",
        "images.yaml:3: f: it is no command; write [PROGRAM, ARGUMENT, ...] or one line of text",
        "images.yaml:5: it is no list of names; write IMAGE: [PROGRAM]",
    )


@pytest.mark.parametrize(
    ("image", "command", "first"),
    [
        ("ganomede/twemproxy", "nutcracker", "/venv/python"),
        ("ganomede/twemproxy", "/usr/sbin/nutcracker", "/usr/sbin/nutcracker"),
        ("example/app", "nutcracker", "nutcracker"),
    ],
)
def test_twemproxys_program_in_its_image_is_ours(image: str, command: str, first: str) -> None:
    assert words(image, args=("-d",), command=(command,))[0] == first


def test_what_is_said_of_an_image_comes_before_what_is_taken_over() -> None:
    assert words("twemproxy", args=("-d",), stand_in=("nutcracker",)) == ("nutcracker", "-d")
