"""The packaged twemproxy and we find the same files right and wrong; where not, it is said why."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from alongside.base import errors
from alongside.components.dataplane.nutcracker import reading

pytestmark = pytest.mark.needs("nutcracker")

PEER = "/usr/sbin/nutcracker"
"""By its path: a program of ours has the same name."""
DEADLINE_S = 30


def listen(text: str) -> str:
    return f"a:\n  listen: {text}\n  servers:\n   - 127.0.0.1:6379:1\n"


def with_(*lines: str) -> str:
    return listen("127.0.0.1:22121\n  " + "\n  ".join(lines))


def servers(*lines: str) -> str:
    listed = "".join(f"   - {line}\n" for line in lines)
    return f"a:\n  listen: 127.0.0.1:22121\n  servers:\n{listed}"


ONE = listen("127.0.0.1:22121")
OTHER = listen("127.0.0.1:22122").replace("a:", "b:", 1)

ALIKE = {
    "least": ONE,
    "two pools": ONE + OTHER,
    "a comment": f"# c\n{ONE}  # d\n",
    "lines of Windows": ONE.replace("\n", "\r\n"),
    "a byte order mark": "\ufeff" + ONE,
    "servers first": "a:\n  servers:\n   - 127.0.0.1:1:1\n  listen: 127.0.0.1:22121\n",
    "a list that is not indented": "a:\n  listen: 127.0.0.1:22121\n  servers:\n  - 127.0.0.1:1:1\n",
    "a name in quotes": with_("'timeout': '400'"),
    "a folded text": with_("hash_tag: >-", "    {}"),
    "a pool with a number for a name": ONE.replace("a:", "1:", 1),
    "a pool called null": ONE.replace("a:", "~:", 1),
    "a document's beginning": f"---\n{ONE}",
    "a document's end": f"{ONE}...\n",
    "two documents": f"{ONE}---\n{OTHER}",
    "nothing": "",
    "a word": "x",
    "a list": "- a\n",
    "a pool of nothing": "a:\n",
    "a pool without a name": ONE.replace("a:", "'':", 1),
    "braces": "{a: {listen: '127.0.0.1:1', servers: ['127.0.0.1:1:1']}}",
    "brackets": "a:\n  listen: 127.0.0.1:22121\n  servers: ['127.0.0.1:1:1']\n",
    "an anchor": with_("timeout: &x 3"),
    "a tag": with_("timeout: !!int 3"),
    "a tab": "a:\n\tlisten: 1\n",
    "no listen": "a:\n  servers:\n   - 127.0.0.1:1:1\n",
    "no servers": "a:\n  listen: 127.0.0.1:22121\n",
    "an empty list": "a:\n  listen: 127.0.0.1:22121\n  servers:\n",
    "servers in no list": "a:\n  listen: 127.0.0.1:22121\n  servers: 127.0.0.1:1:1\n",
    "servers twice": ONE + "  servers:\n   - 127.0.0.1:2:1\n",
    "one address twice": ONE + OTHER.replace("22122", "22121"),
    "one name twice": ONE + OTHER.replace("b:", "a:", 1),
    "an unknown directive": with_("foo: 1"),
    "a directive twice": with_("timeout: 1", "timeout: 2"),
    "a list for a number": with_("timeout:", "  - 3"),
    "a mapping for a number": with_("timeout:", "  a: 3"),
    "keepalive": with_("tcpkeepalive: true"),
    "no time": with_("timeout: 0"),
    "a negative time": with_("timeout: -1"),
    "a time with a sign": with_("timeout: +1"),
    "no number": with_("timeout:"),
    "a huge number": with_("timeout: 99999999999"),
    "True": with_("redis: True"),
    "yes": with_("redis: yes"),
    "true in quotes": with_("redis: 'true'"),
    "a pair": with_("hash_tag: '{}'"),
    "one character": with_("hash_tag: '{'"),
    "a hash in capitals": with_("hash: MD5"),
    "no hash": with_("hash: sha"),
    "modula": with_("distribution: modula"),
    "a password": with_("redis: true", "redis_auth: foo"),
    "a password first": with_("redis_auth: foo", "redis: true"),
    "a password of memcache": with_("redis_auth: foo"),
    "an empty password": with_("redis: true", "redis_auth: ''"),
    "a database": with_("redis_db: 3"),
    "no connections": with_("server_connections: 0"),
    "no failures": with_("server_failure_limit: 0"),
    "no pause": with_("server_retry_timeout: 0"),
    "clients": with_("client_connections: 10", "backlog: 0", "preconnect: true"),
    "a bare port": listen("22121"),
    "a port without a host": listen("':22121'"),
    "port 0": listen("127.0.0.1:0"),
    "an IPv6 address": listen("::1:22121"),
    "a name": listen("localhost:22121"),
    "a blank": listen("'127.0.0.1 :22121'"),
    "a socket": listen("/run/s"),
    "a socket with a mode": listen("/run/s 0777"),
    "a mode too large": listen("/run/s 1000"),
    "a mode with a sign": listen("/run/s -1"),
    "a path too long": listen("/" + "a" * 120),
    "a server twice": servers("127.0.0.1:1:1", "127.0.0.1:1:2"),
    "a server by two names": servers("127.0.0.1:1:1 a", "127.0.0.1:1:1 b"),
    "a name for two servers": servers("127.0.0.1:1:1 a", "127.0.0.1:2:1 a"),
    "weight 0": servers("127.0.0.1:1:0"),
    "no weight": servers("127.0.0.1:1"),
    "a server's port 0": servers("127.0.0.1:0:1"),
    "a port too large": servers("127.0.0.1:65536:1"),
    "two names": servers("127.0.0.1:1:1 a b"),
    "two blanks": servers("127.0.0.1:1:1  a"),
    "zeros before": servers("127.0.0.1:011211:01"),
    "11211 with and without a zero": servers("h:11211:1", "h:011211:1"),
    "a server's socket": servers("/run/a:1"),
    "a server's socket and name": servers("/run/a:1 x"),
    "the name of a socket has its colon": servers("/run/a:1", "h:1:1 /run/a:"),
    "a socket without a weight": servers("/run/a"),
    "a server's IPv6 address": servers("::1:1:1"),
    "a blank in a host": servers("a b:1:1"),
    "an empty server": servers("''"),
    "a mapping for a server": servers("a: b"),
    "a list for a server": servers("- a"),
}
STRICTER = {
    "a mode that is none": listen("/run/s abc"),
    "a pair that is not ASCII": with_("hash_tag: é"),
    "a weight of more than 65535": servers("127.0.0.1:1:70000"),
    "no host": servers("':1:1'"),
    "an empty name": servers("'127.0.0.1:1:1 '"),
    "a name that is not ASCII": servers("127.0.0.1:1:1 é"),
    "a name of more than 255 bytes": servers("127.0.0.1:1:1 " + "a" * 300),
    "a blank in a pool's name": ONE.replace("a:", "my pool:", 1),
    "one address in two spellings": ONE + OTHER.replace("22122", "022121"),
    "any address": listen("'*:22121'"),
    "lists and values exchanged": "a:\n  listen:\n   - 127.0.0.1:1\n  servers: 127.0.0.1:1:1\n",
}
"""Right for twemproxy, though they mean nothing, or cannot be shown; refused here."""
LOOSER = {
    "brackets around an IPv6 address": listen("'[::1]:22121'"),
    "a directive of later versions": with_("reuseport: true"),
    "a host that is not found": listen("no.such.host.invalid:22121"),
}
"""Wrong for twemproxy 0.5.0, right here; the last is told when it is listened on."""


def is_right_there(text: str, folder: Path) -> bool:
    path = folder / "n.yml"
    path.write_bytes(text.encode())
    ran = subprocess.run(
        [PEER, "-t", "-c", path], capture_output=True, timeout=DEADLINE_S, check=False
    )
    assert ran.returncode in {0, 1}, ran
    return ran.returncode == 0


def is_right_here(text: str) -> bool:
    try:
        reading.pools(text.encode(), file="n.yml")
    except errors.UsageError:
        return False
    return True


@pytest.mark.parametrize("text", ALIKE.values(), ids=ALIKE)
def test_a_file_is_right_here_where_it_is_right_there(text: str, tmp_path: Path) -> None:
    assert is_right_here(text) == is_right_there(text, tmp_path)


@pytest.mark.parametrize("text", STRICTER.values(), ids=STRICTER)
def test_some_files_are_right_there_alone(text: str, tmp_path: Path) -> None:
    assert (is_right_here(text), is_right_there(text, tmp_path)) == (False, True)


@pytest.mark.parametrize("text", LOOSER.values(), ids=LOOSER)
def test_some_files_are_right_here_alone(text: str, tmp_path: Path) -> None:
    assert (is_right_here(text), is_right_there(text, tmp_path)) == (True, False)
