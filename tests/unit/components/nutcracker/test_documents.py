"""An ambassador's document says what its file and its values say."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from alongside import document, native
from alongside.base import environment, errors
from alongside.components.dataplane import checking
from alongside.components.dataplane.nutcracker import documents, secrets
from alongside.contract import values
from alongside.contract.catalogue import ambassador

MEMCACHE = """\
memcache:
  listen: 127.0.0.1:11211
  auto_eject_hosts: true
  timeout: 400
  server_retry_timeout: 2000
  server_failure_limit: 1
  servers:
   - m0:11211:1
   - m1:11211:2 one
"""
REDIS = """\
sessions:
  listen: /run/sessions.sock 0660
  redis: true
  redis_auth: hunter2
  redis_db: 3
  hash: murmur
  hash_tag: "{}"
  distribution: modula
  tcpkeepalive: false
  preconnect: true
  server_connections: 100
  servers:
   - r0:6379:1
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "n.yml"
    path.write_text(MEMCACHE + REDIS)
    return path


def resolved(config: Path, *words: str) -> values.Values:
    given = ("--config", str(config), *words)
    return values.gather(ambassador.CONTRACT, given, environment.Environment())


def made(config: Path, *words: str) -> documents.Made:
    found = resolved(config, *words)
    return documents.of_ambassador(
        found, generation=7, secrets_folder=lambda: config.parent / "secrets"
    )


def refused(config: Path, *words: str) -> tuple[str, ...]:
    with pytest.raises(errors.UsageError) as caught:
        made(config, *words)
    return caught.value.problems


def test_a_pool_of_memcache(config: Path) -> None:
    found = made(config).document
    [listener] = found.listeners
    assert (listener.name, listener.address) == ("memcache", "127.0.0.1:11211")
    assert listener.serves == "memcache"
    assert (found.generation, found.threads, found.twemproxy_stats) == (7, 1, None)
    assert found.pools[0] == document.Pool(
        name="memcache",
        protocol="memcache",
        servers=(
            document.Server(name="m0", address="m0:11211"),
            document.Server(name="one", address="m1:11211", weight=2),
        ),
        timeout_ms=400,
        connect_timeout_ms=400,
        retry_ms=2000,
        ejection=document.Ejection(failures=1),
    )


def test_a_pool_of_redis_on_a_socket(config: Path) -> None:
    whole = made(config)
    found = whole.document.pools[1]
    [secret] = whole.secrets
    user = document.User(password=str(secret.path), name="default")
    assert found == document.Pool(
        name="sessions",
        protocol="redis",
        placement=document.PoolPlacement(function="modulo", hash="murmur", hash_tag="{}"),
        servers=(document.Server(name="r0:6379", address="r0:6379"),),
        socket=document.ClientSocket(path="/run/sessions.sock", mode=0o660),
        connections=64,
        preconnect=True,
        keepalive_ms=None,
        users=(user,),
        server_user=user,
        database=3,
    )


def test_the_data_plane_takes_it_and_it_holds_no_password(config: Path) -> None:
    whole = made(config, "--stats-port", "22222", "--status", "127.0.0.1:0")
    content = json.dumps(whole.document.to_json()).encode()
    assert native.check_document(content) == []
    assert b"hunter2" not in content
    assert "hunter2" not in repr(whole)


def test_a_password_goes_into_a_file_of_its_own(config: Path) -> None:
    [secret] = made(config).secrets
    secrets.make_folder(secret.folder)
    secret.write()
    before = secret.path.stat().st_ino
    secret.write()
    assert secret.path.read_text() == "hunter2\n"
    assert stat.S_IMODE(secret.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(secret.folder.stat().st_mode) == 0o700
    assert secret.path.stat().st_ino == before


def test_a_folder_that_others_may_enter_gets_no_password(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("open", "link"):
        with pytest.raises(errors.PermanentError, match="--secrets"):
            secrets.make_folder(tmp_path / name)


def test_the_usual_folder_is_this_users(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = environment.Environment({"XDG_RUNTIME_DIR": "/run/user/1"})
    assert secrets.usual_folder(runtime) == Path("/run/user/1/alongside/ambassador")
    monkeypatch.setattr(secrets, "OF_IMAGE", Path("/absent"))
    found = secrets.usual_folder(environment.Environment())
    assert found.name == f"alongside-ambassador-{os.geteuid()}"


def test_a_socket_without_a_mode_has_what_the_umask_leaves(config: Path) -> None:
    config.write_text(REDIS.replace(" 0660", ""))
    mask = os.umask(0o027)
    try:
        [found] = made(config).document.pools
    finally:
        os.umask(mask)
    assert found.socket == document.ClientSocket(path="/run/sessions.sock", mode=0o750)


def test_values_are_of_every_pool(config: Path, tmp_path: Path) -> None:
    (tmp_path / "app").write_text("x\n")
    words = [
        *(
            "--char",
            "unsigned",
            "--compat",
            "strict",
            "--resolve",
            "1s",
            "--servers-percent-min",
            "50",
        ),
        *("--value-max", "1Mi", "--keys-max", "10", "--connect-timeout", "100ms"),
        *("--user", f"app={tmp_path}/app", "--server-user", f"proxy={tmp_path}/app"),
        *("--may-flush", "--threads", "2", "--stats-port", "9", "--stats-address", "::1"),
    ]
    found = made(config, *words).document
    memcache, redis = found.pools
    for one in found.pools:
        assert (one.placement.is_signed, one.is_strict, one.resolve_ms) == (False, True, 1000)
        assert (one.limits.value_bytes_max, one.limits.keys_max) == (2**20, 10)
        assert one.connect_timeout_ms == 100
    assert (memcache.may_flush, redis.may_flush) == (True, False)
    assert memcache.ejection == document.Ejection(failures=1, servers_percent_min=50)
    assert [user.name for user in redis.users] == ["app", "default"]
    assert redis.server_user == document.User(name="proxy", password=f"{tmp_path}/app")
    assert memcache.users == ()
    assert (found.threads, found.twemproxy_stats) == (
        2,
        document.TwemproxyStats(address="[::1]:9"),
    )


@pytest.mark.parametrize(
    ("value_max", "server_mib", "answers_mib"),
    [("1Mi", 256, 256), ("64Mi", 256, 256), ("256Mi", 257, 1024), ("1Gi", 1025, 4096)],
)
def test_what_may_be_written_may_be_read(
    config: Path, value_max: str, server_mib: int, answers_mib: int
) -> None:
    for one in made(config, "--value-max", value_max).document.pools:
        limits = one.limits
        assert limits.server_bytes_max == server_mib * 2**20
        assert limits.answers_bytes_max == answers_mib * 2**20


def test_each_pools_clients_are_bounded_by_the_file(config: Path) -> None:
    config.write_text(MEMCACHE.replace("  timeout", "  client_connections: 100\n  timeout") + REDIS)
    found = made(config, "--connections-max", "7").document
    assert [one.limits.clients_max for one in found.pools] == [100, None]
    assert found.limits.connections_max == 7


@pytest.mark.parametrize(
    ("bounds", "most"),
    [((0, 0), 16_384), ((100, 50), 16_384), ((100, 0), 16_484), ((50_000, 9), 50_009)],
)
def test_the_process_has_room_for_the_clients_of_its_pools(
    config: Path, bounds: tuple[int, int], most: int
) -> None:
    first, second = (f"  client_connections: {bound}\n" if bound else "" for bound in bounds)
    config.write_text(
        MEMCACHE.replace("  timeout", f"{first}  timeout")
        + REDIS.replace("  redis: true", f"{second}  redis: true")
    )
    assert made(config).document.limits.connections_max == most


def test_files_and_values_are_told_together(config: Path, tmp_path: Path) -> None:
    config.write_text(MEMCACHE.replace("timeout: 400", "timeout: x"))
    found = refused(config, "--key-path", "k", "--server-ca", str(tmp_path / "absent"))
    assert found[0].startswith(f"{config}:4: memcache.timeout: ")
    assert found[1].startswith("--server-ca: ")
    assert found[2].startswith("--key-path: has no effect without --certificate-path; write")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--user", "x"], '--user: "x" is not NAME=PATH; write both'),
        (["--user", "default=/etc/passwd"], "--user: default has a redis_auth in the file"),
        (["--user", "a=/absent/x"], "does not exist"),
        (["--certificate-path", "/absent"], "--certificate-path: "),
        (["--server-name", "x"], "--server-name: has no effect without --server-ca"),
    ],
)
def test_values_that_do_not_fit_are_told(config: Path, words: list[str], told: str) -> None:
    assert told in "".join(refused(config, *words))


def test_values_for_no_pool_are_told(config: Path) -> None:
    config.write_text(MEMCACHE)
    assert "no pool of Redis" in refused(config, "--user", "a=/etc/passwd")[0]
    config.write_text(REDIS)
    assert "no pool of memcache" in refused(config, "--may-flush")[0]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    [found] = refused(tmp_path / "absent.yml")
    assert found == f"--config: {tmp_path}/absent.yml does not exist; check the name"


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("m1:11211:2", "300.1.1.1:11211:2", 9),
        ("127.0.0.1:11211", "300.0.0.1:11211", 2),
    ],
)
def test_what_the_data_plane_refuses_is_told_with_the_files_line(
    config: Path, before: str, after: str, line: int
) -> None:
    config.write_text(MEMCACHE.replace(before, after))
    given, whole = resolved(config), made(config)
    content = json.dumps(whole.document.to_json()).encode()
    with pytest.raises(errors.UsageError, match=f"^{config}:{line}: .* has no valid host"):
        checking.check(content, given, place_of=lambda path: whole.place(path, given))


def test_what_only_a_running_process_refuses_has_its_place_in_the_document(config: Path) -> None:
    places = {one.path: one.written for one in made(config).document.places}
    assert places["listeners[0]"] == f"{config}:2"
    assert places["listeners[0].tls.certificates[0].key"] == "--key-path"
    assert places["pools[1].socket"] == f"{config}:11"
    assert places["pools[1].server_tls"] == "--server-ca"
    assert places["status"] == "--status"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("pools[1].placement.hash", "n.yml:15"),
        ("pools[1].socket.path", "n.yml:11"),
        ("pools[0].servers[1].weight", "n.yml:9"),
        ("pools[1]", "n.yml:10"),
        ("listeners[0].address", "n.yml:2"),
        ("pools[1].users[0].password", "--user"),
        ("pools[0].limits.keys_max", "--keys-max"),
        ("twemproxy_stats.address", "--stats-port"),
        ("limits.connections_max", "--connections-max"),
        ("status.address", "--status"),
    ],
)
def test_every_place_came_from_a_line_or_a_flag(config: Path, path: str, place: str) -> None:
    assert str(made(config).place(path, resolved(config))).endswith(place)
