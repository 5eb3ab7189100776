"""Probes: what is ready, what is restarted, what is waited for."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conformance import values, writing
from tests.conformance.world import Behaviour, World

if TYPE_CHECKING:
    from tests.conformance.values import Value

HTTP = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = int(open(os.environ["LINES"] + "/" + os.environ["POD"] + ".status").read() or 200)
        if self.path == "/header":
            status = 200 if self.headers.get("x-asked") == "yes" else 500
        say(self.path)
        self.send_response(status); self.send_header("content-length", "0"); self.end_headers()
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"""


GRPC = """
import concurrent.futures, grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
served = health.HealthServicer()
health_pb2_grpc.add_HealthServicer_to_server(served, server)
server.add_insecure_port("0.0.0.0:" + os.environ["PORT"])
path = os.environ["LINES"] + "/" + os.environ["POD"] + ".status"
server.start(); say("serves")
while True:
    word = open(path).read()
    if word:
        status = health_pb2.HealthCheckResponse.ServingStatus.Value(word)
        served.set(os.environ["SERVICE"], status)
    time.sleep(0.1)
"""


def _file(world: World, pod: str, kind: str, text: str) -> None:
    path = Path(world.lines_folder) / f"{pod}.{kind}"
    path.write_text(text)


def _server(world: World, pod: str, **fields: values.Free) -> Value:
    _file(world, pod, "status", "200")
    port = world.port(pod)
    server = writing.python(
        "main",
        HTTP,
        env=[{"name": "PORT", "value": str(port)}],
        ports=[{"containerPort": port, "name": "web"}],
        **fields,
    )
    return writing.pod(world, pod, server)


def _get(path: str, port: object = "web", **fields: values.Free) -> Value:
    return {"httpGet": {"path": path, "port": port}, "periodSeconds": 1, **fields}


def _is(world: World, pod: str, state: str) -> bool:
    return bool(world.pod(pod).get("state") == state)


def _exec(world: World) -> list[Value]:
    probe = writing.exec_('test -e "$LINES/$POD.good"', failureThreshold=1)
    return [writing.pod(world, "ready", writing.shell("main", writing.WAIT, readinessProbe=probe))]


def _exec_check(world: World) -> None:
    assert not _is(world, "ready", "ready")
    good = Path(world.lines_folder) / "ready.good"
    good.touch()
    world.until("it is ready", lambda: _is(world, "ready", "ready"))
    good.unlink()
    world.until("it is not ready", lambda: _is(world, "ready", "unready"))
    assert world.container("ready", "main")["restarts"] == 0


def _http(world: World) -> list[Value]:
    return [_server(world, "web-ready", readinessProbe=_get("/here", failureThreshold=1))]


def _http_check(world: World) -> None:
    world.until("it is ready", lambda: _is(world, "web-ready", "ready"))
    assert "/here" in world.lines("web-ready")
    _file(world, "web-ready", "status", "400")
    world.until("it is not ready", lambda: _is(world, "web-ready", "unready"))
    _file(world, "web-ready", "status", "302")
    world.until("it is ready", lambda: _is(world, "web-ready", "ready"))


def _header(world: World) -> list[Value]:
    probe = _get("/header")
    probe["httpGet"]["httpHeaders"] = [{"name": "x-asked", "value": "yes"}]
    return [_server(world, "header", readinessProbe=probe)]


def _header_check(world: World) -> None:
    world.until("it is ready", lambda: _is(world, "header", "ready"))


def _tcp(world: World) -> list[Value]:
    port = world.port("tcp")
    script = f"""
time.sleep(0.5)
listener = socket.create_server(("0.0.0.0", {port})); say("listens")
while True: listener.accept()[0].close()
"""
    probe = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    return [
        writing.pod(
            world,
            "tcp",
            writing.python("main", script, ports=[{"containerPort": port}], readinessProbe=probe),
        )
    ]


def _tcp_check(world: World) -> None:
    world.until("it is ready", lambda: _is(world, "tcp", "ready"))
    assert world.lines("tcp") == ["listens"]


def _liveness(world: World) -> list[Value]:
    script = f'rm -f "$LINES/$POD.bad"; say main; {writing.WAIT}'
    probe = writing.exec_('test ! -e "$LINES/$POD.bad"', failureThreshold=2)
    return [writing.pod(world, "alive", writing.shell("main", script, livenessProbe=probe))]


def _liveness_check(world: World) -> None:
    world.until_line("alive", "main")
    (Path(world.lines_folder) / "alive.bad").touch()
    world.until("it was restarted", lambda: world.lines("alive") == ["main", "main"])
    assert world.container("alive", "main")["restarts"] == 1


def _liveness_http(world: World) -> list[Value]:
    return [
        _server(
            world, "web-alive", livenessProbe=_get("/", failureThreshold=2, initialDelaySeconds=2)
        )
    ]


def _liveness_http_check(world: World) -> None:
    world.until("it was asked", lambda: world.lines("web-alive"))
    _file(world, "web-alive", "status", "500")
    world.until("it was restarted", lambda: world.container("web-alive", "main")["restarts"] > 0)
    _file(world, "web-alive", "status", "200")


def _grpc(world: World, pod: str, service: str, **probes: Value) -> list[Value]:
    """Return a pod of the health service that gRPC's own package serves."""
    _file(world, pod, "status", "SERVING")
    port = world.port(pod)
    server = writing.python(
        "main",
        GRPC,
        env=[
            {"name": "PORT", "value": str(port)},
            {"name": "SERVICE", "value": service},
            {"name": "PYTHONPATH", "value": "/packages"},
        ],
        ports=[{"containerPort": port}],
        volumeMounts=[{"name": "packages", "mountPath": "/packages", "readOnly": True}],
        **{
            kind: {"grpc": {"port": port, "service": service}, "periodSeconds": 1, **fields}
            for kind, fields in probes.items()
        },
    )
    packages = {"name": "packages", "hostPath": {"path": sysconfig.get_path("platlib")}}
    return [writing.pod(world, pod, server, grace=1, volumes=[packages])]


def _grpc_ready(world: World) -> list[Value]:
    return _grpc(world, "grpc-ready", "a.b.Web", readinessProbe={"failureThreshold": 1})


def _grpc_ready_check(world: World) -> None:
    world.until("it is ready", lambda: _is(world, "grpc-ready", "ready"))
    _file(world, "grpc-ready", "status", "NOT_SERVING")
    world.until("it is not ready", lambda: _is(world, "grpc-ready", "unready"))
    assert "NOT_SERVING" in world.pod("grpc-ready")["reason"]
    _file(world, "grpc-ready", "status", "SERVING")
    world.until("it is ready", lambda: _is(world, "grpc-ready", "ready"))
    assert world.container("grpc-ready", "main")["restarts"] == 0


def _grpc_alive(world: World) -> list[Value]:
    late = {"initialDelaySeconds": 10, "failureThreshold": 3, "timeoutSeconds": 10}
    return _grpc(world, "grpc-alive", "", livenessProbe=late)


def _grpc_alive_check(world: World) -> None:
    world.until_line("grpc-alive", "serves")
    _file(world, "grpc-alive", "status", "NOT_SERVING")
    world.until("it was restarted", lambda: world.container("grpc-alive", "main")["restarts"] > 0)
    _file(world, "grpc-alive", "status", "SERVING")


def _sidecars(world: World) -> list[Value]:
    sidecar = writing.shell(
        "sidecar",
        f'rm -f "$LINES/$POD.bad"; say sidecar; {writing.WAIT}',
        restartPolicy="Always",
        readinessProbe=writing.exec_('test -e "$LINES/$POD.good"', failureThreshold=1),
        livenessProbe=writing.exec_('test ! -e "$LINES/$POD.bad"', failureThreshold=1),
    )
    main = writing.shell("main", f"say main; {writing.WAIT}")
    return [writing.pod(world, "probed-sidecar", main, initContainers=[sidecar])]


def _sidecars_check(world: World) -> None:
    world.until_line("probed-sidecar", "main")  # which waits for the start alone
    assert not _is(world, "probed-sidecar", "ready")
    folder = Path(world.lines_folder)
    (folder / "probed-sidecar.good").touch()
    world.until("it is ready", lambda: _is(world, "probed-sidecar", "ready"))
    (folder / "probed-sidecar.bad").touch()
    begun = ["main", "sidecar", "sidecar"]
    world.until("it was restarted", lambda: sorted(world.lines("probed-sidecar")) == begun)
    assert world.container("probed-sidecar", "main")["restarts"] == 0
    world.until("it is ready again", lambda: _is(world, "probed-sidecar", "ready"))


def _startup(world: World) -> list[Value]:
    up = 'test -e "$LINES/$POD.up"'
    main = writing.shell(
        "main",
        f'say main; sleep 3; touch "$LINES/$POD.up"; {writing.WAIT}',
        startupProbe=writing.exec_(up, failureThreshold=30, timeoutSeconds=10),
        livenessProbe=writing.exec_(up, failureThreshold=1, timeoutSeconds=10),
    )
    return [writing.pod(world, "startup", main)]


def _startup_check(world: World) -> None:
    world.until("it is ready", lambda: _is(world, "startup", "ready"))
    assert world.container("startup", "main")["restarts"] == 0


def _startup_fails(world: World) -> list[Value]:
    main = writing.shell(
        "main",
        f"say main; {writing.WAIT}",
        startupProbe=writing.exec_("false", failureThreshold=1),
    )
    return [writing.pod(world, "startup-fails", main, grace=1)]


def _startup_fails_check(world: World) -> None:
    world.until("it was restarted", lambda: len(world.lines("startup-fails")) > 1)


def _slow(world: World) -> list[Value]:
    probe = writing.exec_("sleep 30", timeoutSeconds=1, failureThreshold=1)
    return [
        writing.pod(world, "slow-probe", writing.shell("main", writing.WAIT, livenessProbe=probe))
    ]


def _slow_check(world: World) -> None:
    world.until("it was restarted", lambda: world.container("slow-probe", "main")["restarts"] > 0)


def _none(world: World) -> list[Value]:
    return [writing.pod(world, "no-probe", writing.shell("main", writing.WAIT))]


def _none_check(world: World) -> None:
    world.until("it is ready", lambda: _is(world, "no-probe", "ready"))


BEHAVIOURS = (
    Behaviour(
        "readiness by a command comes and goes without a restart",
        _exec,
        _exec_check,
        is_ready=False,
    ),
    Behaviour("readiness by HTTP: 200 to 399, a port by its name", _http, _http_check),
    Behaviour("a probe by HTTP sends its headers", _header, _header_check),
    Behaviour("readiness by connecting", _tcp, _tcp_check),
    Behaviour("a liveness probe that fails restarts the container", _liveness, _liveness_check),
    Behaviour("liveness by HTTP", _liveness_http, _liveness_http_check),
    Behaviour("readiness by gRPC's health service, by name", _grpc_ready, _grpc_ready_check),
    Behaviour("liveness by gRPC's health service", _grpc_alive, _grpc_alive_check),
    Behaviour(
        "a sidecar's probes decide over its pod's readiness, and restart it alone",
        _sidecars,
        _sidecars_check,
        is_ready=False,
    ),
    Behaviour("a startup probe holds the liveness probe back", _startup, _startup_check),
    Behaviour(
        "a startup probe that fails restarts the container",
        _startup_fails,
        _startup_fails_check,
        is_ready=False,
    ),
    Behaviour("a probe that takes too long has failed", _slow, _slow_check, is_ready=False),
    Behaviour("without a probe a container is ready when it runs", _none, _none_check),
)
