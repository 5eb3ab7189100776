"""What a pool's document says: TLS, UNIX sockets, passwords, names; its figures; a command."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import ports
from tests.agreement import nutcracker
from tests.e2e import dataplane, memcaches, plane, secure, wire
from tests.e2e.memcaches import FailedError, Memcache, Redis

REFUSED = "NOAUTH"
REJECTED = "alongside_ambassador_rejected_connections"
PRINT = "import sys; print(open(sys.argv[1]).read())"
FOREIGN = """
alpha:
  listen: 127.0.0.1:{port}
  hash: md5
  distribution: ketama
  servers:
   - {address}:1 one
   - {address}:1
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder whose paths are short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="pools") as name:
        yield Path(name)


def test_clients_come_by_tls_and_get_the_newest_certificate(folder: Path) -> None:
    authority = secure.Authority(folder)
    first, second = authority.pair("a.example"), authority.pair("a.example")
    certificate = first.swap(folder / "pair")
    tls = {"certificates": [{"name": "one", "path": str(certificate)}]}
    with memcaches.memcached() as server:
        contents = memcaches.document({"a": server.address}, tls=tls)
        with plane.running(contents) as process:
            context = secure.context(authority.path, ())
            large = b"v" * 900_000
            with secure.secure(process.address, context) as connected:
                client = Memcache(connected)
                client.put("k", large)
                assert client.get("k", "nowhere") == {"k": large}
                second.swap(folder / "pair")
                wire.eventually(
                    lambda: secure.shown(process.address) == second.der, "the new one is shown"
                )
                # Who is in stays in.
                assert client.get("k") == {"k": large}
            with Memcache(process.address) as plain:
                plain.send(b"get k\r\n" * 10)
                assert b"VALUE" not in plain.rest()


def test_servers_are_spoken_to_in_tls_and_must_be_who_they_say(folder: Path) -> None:
    authority, other = secure.Authority(folder), secure.Authority(folder, "other")
    pair = authority.pair("redis.internal").put(folder / "pair")
    shown = authority.pair("client", use=secure.CLIENT).put(folder / "client")
    port = ports.free_port()
    files = ["--tls-cert-file", f"{pair}/tls.crt", "--tls-key-file", f"{pair}/tls.key"]
    redis = memcaches.redis(
        "--tls-port", str(port), *files, "--tls-ca-cert-file", str(authority.path)
    )
    with redis:
        known = folder / "ca.pem"
        known.write_bytes(authority.path.read_bytes())
        tls = {
            "authorities": str(known),
            "name": "redis.internal",
            "certificate": str(shown),
        }
        servers = {"a": f"127.0.0.1:{port}"}
        contents = memcaches.document(servers, protocol="redis", server_tls=tls, retry_ms=100)
        with plane.running(contents) as process:
            with Redis(process.address) as client:
                assert client.ask("SET", "k", "v") == b"OK"
                assert client.ask("GET", "k") == b"v"
            # Whom nobody here knows is not spoken to; the file is followed.
            memcaches.write(known, other.path.read_text())
            process.told("server_tls_taken")
            redis.kill()
            redis.start()
            with Redis(process.address) as client, pytest.raises(FailedError):
                client.ask("GET", "k")
            memcaches.write(known, authority.path.read_text())

            def is_back() -> bool:
                with contextlib.suppress(FailedError), Redis(process.address) as client:
                    return client.ask("SET", "k", "v") == b"OK"
                return False

            wire.eventually(is_back, "it is believed again")


def test_unix_sockets_lead_in_and_out_and_one_of_a_dead_process_is_replaced(folder: Path) -> None:
    path = folder / "clients.sock"
    with memcaches.memcached(path=folder / "server.sock") as server:
        contents = memcaches.document(
            {"a": server.address}, socket={"path": str(path), "mode": 0o660}
        )
        with plane.running(contents) as process:
            assert path.stat().st_mode & 0o777 == 0o660
            with Memcache.local(str(path)) as client, Memcache(process.address) as other:
                client.put("k", b"v")
                assert other.get("k") == {"k": b"v"}
            process.process.kill()
            process.process.wait()
        assert path.exists()
        with plane.running(contents) as process:
            with Memcache.local(str(path)) as client:
                assert client.get("k") == {"k": b"v"}
            again = plane.running(contents)
            with pytest.raises(AssertionError, match="somebody serves this socket"), again:
                pass
            moved = {**contents, "generation": 2}
            moved["pools"] = [{**contents["pools"][0], "socket": None}]  # type: ignore[index]
            assert process.put(moved)[0] == 200
            assert not path.exists()


def test_a_pools_clients_are_bounded_at_both_its_doors_by_what_its_document_says_now(
    folder: Path,
) -> None:
    path = folder / "clients.sock"
    with memcaches.memcached() as server, contextlib.ExitStack() as held:
        contents = memcaches.document({"a": server.address}, socket={"path": str(path)})
        with plane.running(contents) as process:

            def finds_room(*, by_port: bool) -> bool:
                # Who finds none is reset, perhaps while it connects.
                with contextlib.suppress(OSError, wire.CutError), contextlib.ExitStack() as own:
                    client = Memcache(process.address) if by_port else Memcache.local(str(path))
                    own.enter_context(client)
                    client.put("k", b"v")
                    held.enter_context(own.pop_all())
                    return True
                return False

            # Who came before there was a bound counts, too.
            first = held.enter_context(Memcache(process.address))
            first.put("k", b"v")
            for generation, most in ((2, 2), (3, 3)):
                pool = {**contents["pools"][0], "limits": {"clients_max": most}}  # type: ignore[index]
                assert (
                    process.put({**contents, "generation": generation, "pools": [pool]})[0] == 200
                )
                by_port = generation == 3
                assert finds_room(by_port=by_port)
                assert [finds_room(by_port=one) for one in (True, False)] == [False, False]
            assert process.metric(REJECTED, pool="main", limit="clients_max") == 4
            first.close()
            wire.eventually(lambda: finds_room(by_port=True), "there is room again")


def test_clients_of_redis_say_who_they_are_and_so_does_the_pool(folder: Path) -> None:
    (folder / "mine").write_text("of clients\n")
    (folder / "theirs").write_text("of servers\n")
    users = [{"name": "app", "password": str(folder / "mine")}]
    server_user = {"password": str(folder / "theirs")}
    with memcaches.redis("--requirepass", "of servers") as redis:
        contents = memcaches.document(
            {"a": redis.address},
            protocol="redis",
            users=users,
            server_user=server_user,
            database=3,
        )
        with plane.running(contents) as process:
            with Redis(process.address) as client:
                with pytest.raises(FailedError, match=REFUSED):
                    client.ask("GET", "k")
                with pytest.raises(FailedError, match="WRONGPASS"):
                    client.ask("AUTH", "app", "wrong")
                assert client.ask("AUTH", "app", "of clients") == b"OK"
                assert client.ask("SET", "k", "v") == b"OK"
                (folder / "mine").write_text("another\n")
                process.told("passwords_taken")
                # Who is in stays in.
                assert client.ask("GET", "k") == b"v"
            with Redis(process.address) as client:
                with pytest.raises(FailedError, match="WRONGPASS"):
                    client.ask("AUTH", "app", "of clients")
                assert client.ask("AUTH", "app", "another") == b"OK"
            host, port = redis.address.split(":")
            with Redis((host, int(port))) as direct:
                direct.ask("AUTH", "of servers")
                assert direct.ask("GET", "k") is None
                direct.ask("SELECT", "3")
                assert direct.ask("GET", "k") == b"v"
            (folder / "mine").unlink()
            process.told("passwords_refused")


def test_a_redis_that_is_killed_fails_its_own_keys_inside_the_answer() -> None:
    keys = [hashlib.sha256(bytes([number])).hexdigest()[:12] for number in range(20)]
    with memcaches.redis() as first, memcaches.redis() as second:
        servers = {"a": first.address, "b": second.address}
        contents = memcaches.document(servers, protocol="redis", timeout_ms=2000, retry_ms=100)
        with plane.running(contents) as process, Redis(process.address) as client:
            homes = memcaches.homes(process, keys)
            pairs = [word for key in keys for word in (key, key.upper())]
            assert client.ask("MSET", *pairs) == b"OK"
            assert client.ask("MGET", *keys) == [key.upper().encode() for key in keys]
            second.kill()

            def is_noticed() -> bool:
                answers = client.ask("MGET", *keys)
                assert isinstance(answers, list)
                got = dict(zip(keys, answers, strict=True))
                assert all(got[key] == key.upper().encode() for key in homes["a"])
                return all(isinstance(got[key], FailedError) for key in homes["b"])

            wire.eventually(is_noticed, "the other one's keys are errors")
            with pytest.raises(FailedError):
                client.ask("DEL", *keys)
            second.start()
            left = homes["b"][0]

            def is_back() -> bool:
                with contextlib.suppress(FailedError):
                    return client.ask("SET", left, "v") == b"OK"
                return False

            wire.eventually(is_back, "it is used again")
            # What the living one had is deleted, though the command failed as a whole.
            assert client.ask("EXISTS", *homes["a"]) == 0
            assert client.ask("DEL", *keys) == 1


def test_servers_have_names_that_are_looked_up() -> None:
    with memcaches.memcached() as server:
        port = server.address.split(":")[1]
        servers = {"a": f"localhost:{port}", "b": f"no-such-host.invalid:{port}"}
        contents = memcaches.document(servers, timeout_ms=2000, resolve_ms=100)
        with plane.running(contents) as process, Memcache(process.address) as client:
            homes = memcaches.homes(process, [f"{number:x}" * 3 for number in range(16)])
            client.put(homes["a"][0], b"v")
            with pytest.raises(FailedError):
                client.put(homes["b"][0], b"v")
            assert client.get(homes["a"][0], homes["b"][0]) == {homes["a"][0]: b"v"}
            assert process.end() == 0
            assert len(process.events("server_name_not_found")) == 1


@pytest.mark.needs("nutcracker")
def test_figures_have_the_shape_of_twemproxys() -> None:
    with memcaches.memcached() as server, contextlib.ExitStack() as stack:
        contents = {
            **memcaches.document({"one": server.address, "127.0.0.1": server.address}),
            "twemproxy_stats": {"address": "127.0.0.1:0"},
        }
        process = stack.enter_context(plane.running(contents))
        theirs = stack.enter_context(twemproxy(server.address))
        host, port = str(process.admin("GET", "/snapshot")[1]["twemproxy_stats"]).split(":")
        ours = (host, int(port))
        with Memcache(process.address) as client:
            client.put("k", b"v")
            # Both servers have some of these.
            client.get(*(hashlib.sha256(bytes([number])).hexdigest() for number in range(20)))
        figures = {name: figures_at(address) for name, address in (("o", ours), ("t", theirs))}
        shape = {name: shape_of(found) for name, found in figures.items()}
        shape["o"]["alpha"] = shape["o"].pop("main")
        assert shape["o"] == shape["t"]
        main = figures["o"]["main"]
        assert isinstance(main, dict)
        assert main["fragments"] == 2
        servers = [value for value in main.values() if isinstance(value, dict)]
        assert sum(value["requests"] for value in servers) == 3
        assert sum(value["responses"] for value in servers) == 3
        assert all(value["out_queue"] == value["in_queue"] == 0 for value in servers)


@contextlib.contextmanager
def twemproxy(address: str) -> Iterator[wire.Address]:
    """Run a nutcracker in front of a server; yield where its figures are."""
    port, figures = ports.free_port(), ports.free_port()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "nutcracker.yaml"
        path.write_text(FOREIGN.format(port=port, address=address))
        command = [nutcracker.COMMAND, "-c", str(path), "-a", "127.0.0.1"]
        with memcaches.Server([*command, "-s", str(figures)], f"127.0.0.1:{port}"):
            yield "127.0.0.1", figures


def figures_at(address: wire.Address) -> plane.Json:
    """Return the figures at a port."""
    with wire.Wire(address) as client:
        found = json.loads(client.rest())
    assert isinstance(found, dict)
    return found


def shape_of(found: plane.Json) -> dict[str, object]:
    """Return names and types; servers by their figures alone."""

    def shape(value: object) -> object:
        if not isinstance(value, dict):
            return type(value).__name__
        inner = {name: shape(inner) for name, inner in value.items()}
        servers = [name for name, inner in inner.items() if isinstance(inner, dict)]
        return inner | {f"server {at}": inner.pop(name) for at, name in enumerate(servers)}

    return {name: shape(value) for name, value in found.items()}


def test_doors_show_how_a_pool_is_doing() -> None:
    with memcaches.pooled() as (process, servers), Memcache(process.address) as client:
        for _ in range(500):
            client.put("hot", b"v")
        pools = process.admin("GET", "/snapshot")[1]["pools"]
        assert isinstance(pools, list)
        pool = pools[0]
        assert (pool["name"], pool["protocol"], pool["clients"]) == ("main", "memcache", 1)
        assert [server["name"] for server in pool["servers"]] == list(servers)
        assert {server["standing"] for server in pool["servers"]} == {"good"}
        assert pool["top_keys"][0]["key"] == "hot"
        counted = process.metric(
            "alongside_ambassador_response_seconds_count", **{"class": "write"}
        )
        assert counted == 500
        assert process.metric("alongside_ambassador_commands", pool="main") == 500
        status, problem = process.admin("GET", "/explain?pool=other&key=k")
        assert (status, problem) == (404, {"error": 'there is no pool "other", only: main'})
        assert process.admin("GET", "/explain?pool=main")[0] == 400
        gone = {**memcaches.document({}), "generation": 2, "pools": [], "listeners": []}
        assert process.put(gone)[0] == 200
        assert client.is_over()
        assert "alongside_ambassador" not in process.knock("GET", "/metrics")[1]


def test_a_pool_that_cannot_be_is_refused_and_the_one_before_serves_on(folder: Path) -> None:
    with memcaches.pooled(count=1) as (process, servers), Memcache(process.address) as client:
        places = memcaches.places(servers)
        wrong = memcaches.document(places, generation=2, placement={"hash_tag": "ä"})
        status, said = process.put(wrong)
        assert status == 400
        assert "pools[0].placement.hash_tag" in json.dumps(said)
        absent = [{"name": "app", "password": str(folder / "nowhere")}]
        wrong = memcaches.document(places, generation=2, protocol="redis", users=absent)
        status, said = process.put(wrong)
        assert status == 400
        assert "pools[0].users[0].password" in json.dumps(said)
        moved = {**memcaches.document(places, generation=2), "twemproxy_stats": None}
        moved["twemproxy_stats"] = {"address": "127.0.0.1:0"}
        assert "twemproxy_stats" in json.dumps(process.put(moved)[1])
        client.put("k", b"v")
        assert client.get("k") == {"k": b"v"}


def test_a_command_prints_the_document_anew_when_its_file_changes(folder: Path) -> None:
    path = folder / "pools.txt"
    with memcaches.memcached() as first, memcaches.memcached() as second:
        contents = plane.with_admin(memcaches.document({"a": first.address}), folder / "a.sock")
        memcaches.write(path, contents)
        command = shlex.join([sys.executable, "-ISc", PRINT, str(path)])
        process = plane.launch(folder, ["--render", command, "--watch", str(path)])
        with plane.Plane(folder, process) as front:
            plane.await_start(front)
            with Memcache(front.address) as client:
                client.put("k", b"first")
                # It has the same number, since the command knows of none.
                servers = [{"name": "a", "address": second.address}]
                contents["pools"] = [{"name": "main", "protocol": "memcache", "servers": servers}]
                memcaches.write(path, contents)
                wire.eventually(
                    lambda: front.admin("GET", "/snapshot")[1]["generation"] == 2, "it is applied"
                )
                assert client.get("k") == {}
                client.put("k", b"second")
                memcaches.write(path, "{")
                wire.eventually(lambda: front.events("document_refused"), "it is refused")
                path.unlink()
                wire.eventually(
                    lambda: "FileNotFoundError" in str(front.events("document_refused")),
                    "it is refused in the command's own words",
                )
                assert client.get("k") == {"k": b"second"}


def test_a_socket_of_figures_that_is_taken_is_said_at_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, tempfile.TemporaryDirectory() as name:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        contents = {**memcaches.document({"a": "h:1"}), "twemproxy_stats": {"address": address}}
        path = Path(name) / "document.json"
        memcaches.write(path, contents)
        process = plane.launch(Path(name), ["--document", str(path)])
        assert process.wait(timeout=wire.TIMEOUT_S) == 3
        assert (
            f"twemproxy_stats.address: {address} is taken"
            in (Path(name) / "stderr.log").read_text()
        )


def test_checking_a_document_says_what_is_wrong_with_its_pools(folder: Path) -> None:
    path = folder / "document.json"
    contents = memcaches.document({"a": "h:1"}, server_tls={"authorities": str(folder / "nowhere")})
    memcaches.write(path, contents)
    command = [str(dataplane.binary()), "--check", str(path)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 2
    assert "pools[0].server_tls.authorities" in checked.stderr


def test_a_server_that_refuses_is_not_taken_for_one_that_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    contents = memcaches.document({"a": address}, protocol="redis", connect_timeout_ms=60_000)
    with plane.running(contents) as process, Redis(process.address) as client:
        with pytest.raises(FailedError, match="refused"):
            client.ask("GET", "k")
        assert client.ask("PING") == b"PONG"
