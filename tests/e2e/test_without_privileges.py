"""The first steps of a user who may do nothing special, with an installation and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests import ports, processes
from tests.conformance import leavings
from tests.e2e import fleets, namespaced, worlds

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or namespaced.python_of_everyone() is None,
        reason="only root can be somebody else, with a Python that everybody may run",
    ),
    pytest.mark.needs("setpriv", "ip"),
    pytest.mark.timeout(300),
    fleets.NEEDS_DATA_PLANE,
]
SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("cache-control", "max-age=60"); self.send_header("content-length", "2")
        self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
PODS = """\
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{port: {port}, targetPort: word}}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: words}}
data: {{word: hello}}
---
apiVersion: v1
kind: Pod
metadata: {{name: web, labels: {{app: web}}}}
spec:
  terminationGracePeriodSeconds: 2
  shareProcessNamespace: true
  initContainers:
    - {{name: init, command: [sh, -c, "cp $FROM/word $DATA/word"], env: &env
        [{{name: FROM, value: /etc/words}}, {{name: DATA, value: /data}}], volumeMounts: &mounts
        [{{name: words, mountPath: /etc/words}}, {{name: data, mountPath: /data}}]}}
    - {{name: sidecar, restartPolicy: Always, command: [sleep, "1000"]}}
  containers:
    - name: web
      command: ["{python}", -c, "{serve}", "{inner}"]
      env: *env
      ports: [{{name: word, containerPort: {inner}}}]
      readinessProbe: {{tcpSocket: {{port: word}}, periodSeconds: 1}}
      resources: {{limits: {{memory: 128Mi, cpu: 500m}}}}
      volumeMounts: *mounts
  volumes:
    - {{name: words, configMap: {{name: words}}}}
    - {{name: data, emptyDir: {{medium: Memory}}}}
"""
SERVE = """\
import os, socket, sys; s = socket.create_server(('0.0.0.0', int(sys.argv[1])))
while True: c = s.accept()[0]; c.sendall(open(os.environ['DATA'] + '/word', 'rb').read()); c.close()
"""


@pytest.fixture
def user() -> Iterator[worlds.World]:
    with worlds.world("user") as made:
        yield made


@contextlib.contextmanager
def service(world: worlds.World) -> Iterator[int]:
    """Run a service of the user's; give its port."""
    port = ports.free_port()
    words = [*world.before, world.python, "-c", SERVER, str(port)]
    with subprocess.Popen(words, env={}, cwd=world.home) as running:
        try:
            fleets.until("the service listens", lambda: _word(port) is not None)
            yield port
        finally:
            running.kill()


def _word(port: int) -> str | None:
    """Return what a server that speaks first says; None where nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            with contextlib.suppress(TimeoutError):
                return connection.makefile().readline()
            return ""
    except OSError:
        return None


def check(world: worlds.World, *words: str, variables: Mapping[str, str], code: int = 0) -> str:
    """Run a command with these variables alone; return all that it said."""
    ran = world.bare(*words, **variables)
    said = ran.stdout + ran.stderr
    assert ran.returncode == code, said
    assert "Traceback" not in said
    assert "[Errno" not in said
    return said


def test_a_cache_before_ones_own_service_with_nothing_but_a_home(user: worlds.World) -> None:
    home = {"HOME": str(user.home)}
    others = _of_user()
    listen = ports.free_port()
    with service(user) as port:
        check(user, "init", "--output", "mine.yaml", "--listen", str(listen), variables=home)
        text = (user.home / "mine.yaml").read_text()
        assert f"http://127.0.0.1:{port}" in text
        assert "alongside up mine.yaml " in text
        try:
            check(user, "up", "mine.yaml", "--detach", variables=home)
            assert fleets.get(f"127.0.0.1:{listen}", "/")[0] == 200
            assert "all is ready" in check(user, "status", variables=home)
        finally:
            check(user, "down", variables=home)
    state = user.home / ".local" / "state" / "alongside"
    assert {one.stat().st_uid for one in state.rglob("*")} == {worlds.USER}
    fleets.until("nothing is left", lambda: _of_user() <= others)


def _of_user() -> set[str]:
    """Return the processes of the user, who may have some of a test that was killed."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # Whom process 1 has yet to reap is its affair.
            if path.stat().st_uid == worlds.USER and processes.is_alive(int(path.name)):
                found.add(path.name)
    return found


def test_without_any_variable_what_needs_no_home_works_and_the_rest_names_it(
    user: worlds.World,
) -> None:
    sections = json.loads(user.bare("doctor", "--json").stdout)
    found = {fact["name"]: fact for section in sections for fact in section["facts"]}
    assert "set HOME or XDG_STATE_HOME" in found["folders"]["remedy"]
    assert found["alongside-dataplane"]["is_there"]
    for name in ("memcached", "redis-server", "git"):
        known = any(Path(folder, name).exists() for folder in ("/bin", "/usr/bin"))
        assert found[name]["is_there"] == known, name
    listen = ports.free_port()
    option = f"--with=cache:listen=127.0.0.1:{listen},memory=16Mi"
    asked = f"""
import sys, threading, time, urllib.request
sys.argv[1:] = ["{ports.free_port()}"]
threading.Thread(target=exec, args=({SERVER!r}, {{}}), daemon=True).start()
while True:
    try: print(urllib.request.urlopen("http://127.0.0.1:{listen}/").read().decode()); break
    except OSError: time.sleep(0.05)
"""
    said = check(user, "run", option, "--", user.python, "-c", asked, variables={})
    assert "ok\n" in said
    assert "cache has no log" in said
    assert "set HOME or XDG_STATE_HOME to a folder of yours" in said
    (user.home / "pod.yaml").write_text(fleets.cache(port=listen, origin="{url: 'http://h:1'}"))
    said = check(user, "up", "pod.yaml", "--detach", variables={}, code=1)
    assert "set HOME or XDG_STATE_HOME to a folder of yours" in said


@pytest.mark.parametrize(
    ("variable", "command"),
    [("HOME", "status"), ("XDG_STATE_HOME", "down"), ("XDG_RUNTIME_DIR", "logs")],
)
def test_a_folder_that_others_keep_closed_is_named_with_its_variable(
    user: worlds.World, variable: str, command: str
) -> None:
    with worlds.world("root") as root:
        root.home.chmod(0o700)
        variables = {"HOME": str(user.home), variable: str(root.home / "inner")}
        said = check(user, command, "--project", "p", variables=variables, code=1)
        assert f"cannot look into {root.home}/inner" in said
        assert f"{variable} " in said.partition("; set ")[2]
        found = json.loads(user.bare("doctor", "--json", **variables).stdout)[0]
        (folders,) = [fact for fact in found["facts"] if fact["name"] == "folders"]
        assert (folders["is_there"], f"{variable} " in folders["remedy"]) == (False, True)


@pytest.mark.parametrize("variable", ["HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"])
def test_up_names_a_closed_folder_too(user: worlds.World, variable: str) -> None:
    (user.home / "pod.yaml").write_text(fleets.POD.format(name="a", python="x", port=1, word=""))
    with worlds.world("root") as root:
        root.home.chmod(0o700)
        variables = {"HOME": str(user.home), variable: str(root.home / "inner")}
        said = check(user, "up", "pod.yaml", "--detach", variables=variables, code=1)
        assert f"{variable} " in said.partition("; set ")[2]
        assert "Traceback" not in said


def test_init_writes_nothing_that_this_user_could_not_use(user: worlds.World) -> None:
    variables = {"HOME": str(user.home)}
    with service(user) as port, socket.create_server(("127.0.0.1", 0)) as others:
        taken = others.getsockname()[1]
        options = ("init", "--port", str(port))
        said = check(user, *options, "--listen", str(taken), variables=variables, code=2)
        assert f"port {taken} is taken by user root; give the cache another port" in said
        if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) > 1:
            said = check(user, *options, "--listen", "1", variables=variables, code=2)
            assert "this user may not listen at port 1; give the cache another port" in said
        with worlds.world("root") as root:
            root.home.chmod(0o700)
            output = ("--output", str(root.home / "x.yaml"))
            said = check(user, *options, *output, variables=variables, code=1)
            assert f"cannot write {root.home}/x.yaml: Permission denied" in said
            said = check(
                user, "contract", "show", str(root.home / "x.yaml"), variables=variables, code=1
            )
            assert f"this user may not use {root.home}/x.yaml: Permission denied" in said


@pytest.mark.parametrize(
    ("name", "engine"), [("user", "process"), ("user", "namespaces"), ("outgoing", "namespaces")]
)
def test_pods_run_for_a_user_and_what_is_not_held_is_said(name: str, engine: str) -> None:
    with worlds.world(name) as world:
        variables = {"HOME": str(world.home)}
        state = world.home / ".local" / "state" / "alongside" / "p"
        before = leavings.traces(state)
        numbers = {"port": ports.free_port(), "inner": ports.free_port()}
        (world.home / "serve.py").write_text(SERVE)
        serve = f"exec(open('{world.home}/serve.py').read())"
        text = PODS.format(python=world.python, serve=serve, **numbers)
        (world.home / "pods.yaml").write_text(text)
        lack = _lack(world, engine)
        up = ("up", "pods.yaml", "--detach", "--engine", engine, "--project", "p")
        if lack:
            assert lack in check(world, *up, variables=variables, code=2)
            return
        try:
            said = check(world, *up, variables=variables)
            fleets.until("it answers", lambda: _word(numbers["port"]) == "hello")
            noted = leavings.Namespaces(state)
            assert "limits.cpu" in said or "limits of cpu and memory are not held" in said
            assert "readOnly" not in said  # nobody wrote it
            has_device = name == "outgoing" or os.stat("/dev/net/tun").st_mode & 0o006 == 0o006
            if engine == "namespaces":
                assert ("pods reach each other and nothing outside" in said) != has_device
                assert len(noted) > 0
        finally:
            check(world, "down", "--project", "p", variables=variables)
        # The supervisor says that all has ended just before it ends itself.
        fleets.until(
            "nothing is left", lambda: not [*noted.left(), *(leavings.traces(state) - before)]
        )
        assert list((state / "pods").rglob("*")) == []


def _lack(world: worlds.World, engine: str) -> str:
    """Return what doctor says is missing for an engine."""
    sections = json.loads(world.run("doctor", "--json").stdout)
    (found,) = [one for one in sections if one["name"] == f"engine {engine}"]
    if found["is_usable"]:
        return ""
    return next(str(one["reason"]) for one in found["facts"] if one["remedy"])
