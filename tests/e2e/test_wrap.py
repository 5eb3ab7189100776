"""`alongside contract wrap` with real programs: what is checked, what is written, what runs."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from tests import ports

COMMAND = Path(sys.executable).parent / "alongside"
_Seen = TypeVar("_Seen")
DEADLINE_S = 20.0
DISK_BYTES = 16 * 1024
SECRET = "".join(("s3", "cr3t"))

CONTRACT = """
contract: 1
component: web
summary: serves a greeting
promise: what it says, it answers
prefix: WEB_
parameters:
  - {name: port, type: port, description: the port, example: "8080", default: "8080", flag: --port}
  - name: timeout
    type: duration
    unit: s
    description: the time a client has
    example: "30"
    default: "30"
    flag: ""
    aliases: [{name: OLD_TIMEOUT_MS, unit: ms}]
  - {name: body_max, type: size, description: largest body, example: 1Mi, default: 1Mi, flag: ""}
  - {name: greeting, type: text, description: words, example: hello, required: true, flag: ""}
  - {name: token, type: text, description: key, example: x, unset: open, secret: true, flag: ""}
  - {name: verbose, type: boolean, description: more, example: "true", default: "false", flag: ""}
"""

NGINX = """
daemon off;
pid {{ folder }}/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path {{ folder }}/body;
    proxy_temp_path {{ folder }}/proxy;
    fastcgi_temp_path {{ folder }}/fastcgi;
    uwsgi_temp_path {{ folder }}/uwsgi;
    scgi_temp_path {{ folder }}/scgi;
    send_timeout {{ timeout | seconds }};
    client_max_body_size {{ body_max | bytes }};
    server {
        listen 127.0.0.1:{{ port }};
        location / { return 200 "{{ greeting }}"; }
{% if token %}
        location /secret { return 200 "{{ token }}"; }
{% endif %}
    }
}
"""


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    path = tmp_path / "contract.yaml"
    path.write_text(CONTRACT)
    return path


def variables(**given: str) -> dict[str, str]:
    return {"PATH": f"/usr/sbin:{os.environ['PATH']}", "WEB_GREETING": "hello", **given}


def wrapped(
    contract: Path, *words: str, before: tuple[str, ...] = (), env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run wrap to its end, with the words behind the contract's."""
    return subprocess.run(
        [*before, COMMAND, "contract", "wrap", "--contract", contract, *words],
        env=variables() if env is None else env,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def template(folder: Path, text: str) -> tuple[str, str, Path]:
    """Write a template; return the words that fill it, and where it goes."""
    (folder / "t.j2").write_text(text)
    target = folder / "made.conf"
    return "--template", f"{folder / 't.j2'}:{target}", target


def test_the_program_runs_with_its_words_and_its_exit_code_passes(contract: Path) -> None:
    done = wrapped(
        contract, "--", "sh", "-c", 'printf "%s|" "$0" "$@"; exit 7', "a b", "", "--x", "a b"
    )
    assert (done.returncode, done.stdout) == (7, "a b||--x|a b|")


def test_the_program_is_the_same_process_and_gets_the_signals(contract: Path) -> None:
    script = 'trap "echo stopped; exit 5" TERM; echo $$; while true; do sleep 0.05; done'
    words = [
        str(COMMAND),
        "contract",
        "wrap",
        "--contract",
        str(contract),
        "--",
        "sh",
        "-c",
        script,
    ]
    with subprocess.Popen(words, env=variables(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert int(process.stdout.readline()) == process.pid
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "stopped\n"
    assert process.returncode == 5


def test_signals_that_python_ignores_are_as_the_program_expects_them(contract: Path) -> None:
    done = wrapped(contract, "--", "grep", "SigIgn", "/proc/self/status")
    assert (
        int(done.stdout.split()[1], 16) & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1))
        == 0
    )


def test_values_in_force_are_logged_once_and_secrets_masked(contract: Path) -> None:
    done = wrapped(contract, "--", "true", env=variables(WEB_TIMEOUT="1m", WEB_TOKEN=SECRET))
    line = json.loads(done.stderr)
    assert line["values"] == {
        "port": "8080",
        "timeout": "1m",
        "body_max": "1Mi",
        "greeting": "hello",
        "token": "***",
        "verbose": "false",
    }
    assert SECRET not in done.stderr


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({}, "- - -"),
        ({"WEB_TIMEOUT": "45"}, "45 - -"),
        ({"WEB_TIMEOUT": "2m"}, "120 - -"),
        ({"WEB_TIMEOUT": ""}, " - -"),
        ({"OLD_TIMEOUT_MS": "5000"}, "5 - -"),
        ({"WEB_PORT": "tcp://10.0.0.1:80"}, "- - -"),
    ],
)
def test_the_program_sees_what_is_given_under_its_own_name_in_its_unit(
    contract: Path, given: dict[str, str], seen: str
) -> None:
    script = 'echo "${WEB_TIMEOUT--} ${WEB_PORT--} ${OLD_TIMEOUT_MS--}"'
    done = wrapped(contract, "--", "sh", "-c", script, env=variables(**given))
    assert done.stdout == f"{seen}\n"


@pytest.mark.parametrize("given", [{}, {"LC_CTYPE": "C"}, {"LC_ALL": "POSIX"}])
def test_the_program_gets_no_variable_that_nobody_set(
    contract: Path, given: dict[str, str]
) -> None:
    done = wrapped(contract, "--", "env", env=variables(**given))
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert found == variables(**given)


def test_a_flag_like_one_of_the_contract_is_warned_of_and_passes(contract: Path) -> None:
    done = wrapped(contract, "--", "echo", "--prot", "1", "--host", "x")
    assert (done.returncode, done.stdout) == (0, "--prot 1 --host x\n")
    warnings = [json.loads(line) for line in done.stderr.splitlines()][:-1]
    assert [one["told"] for one in warnings] == [
        '"--prot": is no flag of web; did you mean --port?'
    ]


def test_all_mistakes_are_told_at_once_and_nothing_is_started(
    contract: Path, tmp_path: Path
) -> None:
    *words, target = template(tmp_path, "{{ prot }}\n{{ timeout | seconds }}\n")
    given = {
        "WEB_TIMEOUT": "soon",
        "WEB_BODY_MAX": "1048576",
        "WEB_GRETING": "x",
        "WEB_TOKEN": "\x07",
        "WEB_VERBOSE": "yes",
        "PATH": variables()["PATH"],
    }
    started = tmp_path / "started"
    program = ("sh", "-c", f"touch {started}", "--port=0")
    done = wrapped(contract, *words, "--", *program, env=given)
    assert (done.returncode, done.stdout) == (2, "")
    for told in (
        'WEB_TIMEOUT: "soon" is not a duration',
        'WEB_BODY_MAX: "1048576" is not a size: it has no unit',
        '"WEB_GRETING": is no variable of web; did you mean WEB_GREETING?',
        "WEB_GREETING: is missing",
        "WEB_TOKEN: ",
        'WEB_VERBOSE: "yes" is neither true nor false',
        '--port: "0" is not a port',
        't.j2:1: "prot" is no parameter of the contract; did you mean port?',
    ):
        assert told in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert not started.exists()
    assert not target.exists()


@pytest.mark.parametrize("given", [{"WEB_GREETING": "x" * 100_000}, {"WEB_TIMEOUT": "9" * 100_000}])
def test_a_huge_value_is_refused_in_one_short_line(contract: Path, given: dict[str, str]) -> None:
    done = wrapped(contract, "--", "true", env=variables(**given))
    assert done.returncode == 2
    assert max(map(len, done.stderr.splitlines())) < 500


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "PROGRAM: is missing"),
        (("--",), "PROGRAM: is missing"),
        (("true", "-x"), '"true": is not expected here; write -- before the program'),
        (("--", "no-such-program"), '"no-such-program": is no program'),
        (("--template", "x", "--", "true"), "write it as SOURCE:TARGET"),
        (("--template", "/nonexistent:/x", "--", "true"), "/nonexistent does not exist"),
        (("--tmplate", "a:b", "--", "true"), "did you mean --template?"),
    ],
)
def test_wrong_usage_is_told(contract: Path, words: tuple[str, ...], told: str) -> None:
    done = wrapped(contract, *words)
    assert done.returncode == 2
    assert told in done.stderr
    assert all(line.startswith("alongside contract wrap: ") for line in done.stderr.splitlines())


@pytest.mark.parametrize("text", ["", "contract: 2\n", "a: [", "contract: 1\ncomponent: 5\n"])
def test_what_is_no_contract_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    done = wrapped(tmp_path / "c.yaml", "--", "true")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ token }}", "t.j2:1: token is not set; write {% if token %} around it"),
        ("a\n{{ port | seconds }}", "t.j2:2: seconds: a value of type int is no duration"),
        ("{% if %}", "t.j2:1: "),
        ("{{ body_max | gibibytes }}", "is no whole number of them"),
        ("{{ 'a' * 10 ** 7 }}", "prints more than 1Mi"),
        ("{{ 'a' * 10 ** 11 }}", "took more than 512Mi of memory"),
        ("{{ port.__class__.__mro__ }}", "is unsafe"),
        ("{% include '/etc/passwd' %}", "t.j2"),
        ("{{ " + "(" * 50_000, "t.j2: is nested too deeply"),
    ],
)
def test_a_template_that_makes_no_sense_stops_everything(
    contract: Path, tmp_path: Path, text: str, told: str
) -> None:
    *words, target = template(tmp_path, text)
    target.write_text("old")
    done = wrapped(contract, *words, "--", "echo", "started")
    assert (done.returncode, done.stdout, target.read_text()) == (2, "", "old")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_template_that_does_not_end_is_given_up(contract: Path, tmp_path: Path) -> None:
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    *words, _ = template(tmp_path, loop)
    done = wrapped(contract, *words, "--template-timeout", "300ms", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (2, "")
    assert "took too long" in done.stderr


def test_what_fills_a_template_ends_with_the_process(contract: Path, tmp_path: Path) -> None:
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    *given, target = template(tmp_path, loop)
    words = [str(COMMAND), "contract", "wrap", "--contract", str(contract), *given]
    words += ["--template-timeout", "1h", "--", "true"]
    with subprocess.Popen(words, env=variables()) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        child = waited(lambda: children.read_text().split())[0]
        maps = Path(f"/proc/{child}/maps")
        waited(lambda: b"ctypes" in maps.read_bytes())
        process.terminate()
    waited(lambda: has_ended(maps))
    assert not target.exists()


def has_ended(maps: Path) -> bool:
    """Return whether a process holds no memory any more: it is gone, or left for init to bury."""
    try:
        return not maps.read_bytes()
    except OSError:
        return True


def waited(look: Callable[[], _Seen]) -> _Seen:
    """Return what a look finds, as soon as it finds something."""
    until_s = time.monotonic() + DEADLINE_S
    while not (found := look()):
        assert time.monotonic() < until_s
        time.sleep(0.01)
    return found


def test_a_file_that_is_mounted_by_itself_is_refused_before_any_is_written(
    contract: Path, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("waits for root, who may mount a file")
    *words, target = template(tmp_path, "{{ greeting }}")
    mounted = tmp_path / "mounted by itself"
    mounted.touch()
    done = subprocess.run(
        ["mount", "--bind", mounted, mounted], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"waits for the right to mount a file: {done.stderr.strip()}")
    try:
        second = ("--template", f"{tmp_path / 't.j2'}:{mounted}")
        told = wrapped(contract, *words, *second, "--", "echo", "started")
    finally:
        subprocess.run(["umount", mounted], check=True)
    assert (told.returncode, told.stdout, target.exists()) == (2, "", False)
    assert "is mounted by itself and cannot be replaced" in told.stderr


def test_a_file_that_holds_a_secret_is_its_owners_alone(contract: Path, tmp_path: Path) -> None:
    *words, target = template(tmp_path, "{% if token %}\n{{ token }}\n{% endif %}\n")
    assert wrapped(contract, *words, "--", "true", env=variables(WEB_TOKEN=SECRET)).returncode == 0
    assert (target.read_text().strip(), target.stat().st_mode & 0o777) == (SECRET, 0o600)
    target.chmod(0o644)
    assert wrapped(contract, *words, "--", "true", env=variables(WEB_TOKEN=SECRET)).returncode == 0
    assert target.stat().st_mode & 0o777 == 0o600
    *words, target = template(tmp_path, "{{ greeting }}")
    target.chmod(0o640)
    assert wrapped(contract, *words, "--", "true").returncode == 0
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("hello", 0o640)


@pytest.mark.needs("strace")
@pytest.mark.parametrize("fault", ["fsync:error=ENOSPC", "fsync:error=EDQUOT", "rename:error=EIO"])
def test_a_file_that_cannot_be_written_stays_and_nothing_starts(
    contract: Path, tmp_path: Path, fault: str
) -> None:
    *words, target = template(tmp_path, "{{ greeting }}")
    target.write_text("old")
    strace = ("strace", "-qq", "-o", str(tmp_path / "trace"), "-e", f"inject={fault}")
    done = wrapped(contract, *words, "--", "echo", "started", before=strace)
    assert (done.returncode, done.stdout, target.read_text()) == (1, "", "old")
    assert f"cannot write {target}" in done.stderr
    assert not list(tmp_path.glob(".*.new"))


@pytest.mark.needs("strace")
@pytest.mark.parametrize(
    ("call", "left"), [("fsync:signal=KILL", "old"), ("rename:signal=KILL", "old")]
)
def test_killed_while_it_writes_it_leaves_the_old_file(
    contract: Path, tmp_path: Path, call: str, left: str
) -> None:
    *words, target = template(tmp_path, "{{ greeting }}")
    target.write_text("old")
    strace = ("strace", "-qq", "-o", str(tmp_path / "trace"), "-e", f"inject={call}:when=1")
    done = wrapped(contract, *words, "--", "echo", "started", before=strace)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")
    assert target.read_text() in {left, "hello"}
    assert wrapped(contract, *words, "--", "true").returncode == 0
    assert target.read_text() == "hello"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("waits for root, who may mount a small tmpfs")
    at = tmp_path / "disk"
    at.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(at)]
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"waits for the right to mount a tmpfs: {mounted.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


def test_a_full_disk_keeps_the_old_file(contract: Path, tmp_path: Path, small_disk: Path) -> None:
    (tmp_path / "t.j2").write_text("{{ greeting }}" * 4000)
    target = small_disk / "made.conf"
    target.write_text("old")
    words = ("--template", f"{tmp_path / 't.j2'}:{target}")
    done = wrapped(contract, *words, "--", "echo", "started")
    assert (done.returncode, done.stdout, target.read_text()) == (1, "", "old")
    assert "make room on the disk" in done.stderr
    assert [path.name for path in small_disk.iterdir()] == ["made.conf"]


@pytest.mark.needs("nginx")
def test_nginx_runs_from_a_template(contract: Path, tmp_path: Path) -> None:
    *words, target = template(tmp_path, NGINX.replace("{{ folder }}", str(tmp_path)))
    port = ports.free_port()
    given = variables(
        WEB_PORT=str(port), WEB_TIMEOUT="1m30s", WEB_GREETING="good day", WEB_TOKEN=SECRET
    )
    command = [str(COMMAND), "contract", "wrap", "--contract", str(contract), *words]
    log = (tmp_path / "log").open("w")
    with (
        log,
        subprocess.Popen(
            [*command, "--", "nginx", "-c", str(target)], env=given, stderr=log
        ) as process,
    ):
        try:
            assert answered(port, "/") == "good day"
            assert answered(port, "/secret") == SECRET
            assert "send_timeout 90;" in target.read_text()
            assert "client_max_body_size 1048576;" in target.read_text()
        finally:
            process.send_signal(signal.SIGQUIT)
    assert process.returncode == 0, (tmp_path / "log").read_text()


def answered(port: int, path: str) -> str:
    until_s = time.monotonic() + DEADLINE_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except OSError:
            assert time.monotonic() < until_s, f"nothing answers on port {port}"
            time.sleep(0.01)
        finally:
            connection.close()
