"""The example of an old program behind HTTPS, brought up on one engine with two pods more.

In:    the example's files as they are, and the lines of its README; the name of an engine.
Out:   where its Services are, and whom its clients believe.
Not:   clients; what is put before a program that no engine runs: `sidecar`.
Next:  test_legacy_https.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.e2e import docker

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "legacy-https"
NAME = "legacy"
"""The host that its certificate is for, whatever address a Service has."""
PODS = {"legacy": 8443, "talk": 8444, "echo": 8445}
"""The ports of the Services before each pod."""
RUN_S = 200

TALK = '''
"""A chat as pages have one: echoes what a WebSocket says, and shows a page to everybody else."""
import base64, hashlib, http.server, os, struct

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.close_connection = True
            return self.talk()
        content = b"<title>talk</title><p>a page that talks"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def talk(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        for field in (("Upgrade", "websocket"), ("Connection", "Upgrade")):
            self.send_header(*field)
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        while len(head := self.rfile.read(2)) == 2:
            size = head[1] & 127
            if size > 125:
                form = ">H" if size == 126 else ">Q"
                [size] = struct.unpack(form, self.rfile.read(struct.calcsize(form)))
            mask = self.rfile.read(4)
            data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(size)))
            long = struct.pack(">BQ", 127, size) if size > 125 else struct.pack(">B", size)
            self.wfile.write(head[:1] + long + data)
            if head[0] & 15 == 8:
                return
    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
'''
ECHO = '''
"""A program of gRPC: echoes one message or many, or fails, with trailers."""
import concurrent.futures, os, grpc

def fail(request, context):
    context.set_trailing_metadata((("k", "v"),))
    context.abort(grpc.StatusCode.NOT_FOUND, "nope")

def told(request, context):
    return repr(sorted(context.invocation_metadata())).encode()

class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        return {
            "/t.T/Echo": grpc.unary_unary_rpc_method_handler(lambda request, _: request),
            "/t.T/Fail": grpc.unary_unary_rpc_method_handler(fail),
            "/t.T/Told": grpc.unary_unary_rpc_method_handler(told),
            "/t.T/Chat": grpc.stream_stream_rpc_method_handler(lambda requests, _: requests),
        }[details.method]

server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
server.add_generic_rpc_handlers((Echo(),))
server.add_insecure_port("127.0.0.1:" + os.environ["PORT"])
server.start()
server.wait_for_termination()
'''
# The containers of all engines have the version of Python that the environment has.
PACKAGES = {"name": "packages", "hostPath": {"path": sysconfig.get_path("platlib")}}


class Example:
    """The example's folder, copied, and the commands of its README."""

    def __init__(self, base: Path, **variables: str) -> None:
        self.home = base
        self.folder = base / "legacy-https"
        shutil.copytree(EXAMPLE, self.folder)
        self.ca = base / "s" / "alongside" / "authority" / "ca" / "ca.crt"
        self.variables = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(base),
            "XDG_STATE_HOME": f"{base}/s",
            "XDG_RUNTIME_DIR": f"{base}/r",
            # Docker's base is looked for where every test keeps it.
            "XDG_CACHE_HOME": str(docker.CACHE.parent),
            **variables,
        }

    def ran(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run lines of a shell with our command on its path."""
        return subprocess.run(
            ["bash", "-ec", line],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=RUN_S,
            check=False,
        )

    def run(self, line: str) -> str:
        """Return what lines of a shell say that must succeed."""
        ran = self.ran(line)
        assert ran.returncode == 0, f"{line}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def block(self, number: int) -> list[str]:
        """Return the lines of a block of commands of the README."""
        text = (self.folder / "README.md").read_text()
        blocks: list[str] = re.findall(r"```\n(.*?)```", text, flags=re.DOTALL)
        return blocks[number].splitlines()

    def service(self, name: str = NAME) -> tuple[str, int]:
        """Return where a Service is reached."""
        services = json.loads(self.run("alongside status --json"))["services"]
        host, _, port = str(services[name][str(PODS[name])]).rpartition(":")
        return host, int(port)

    def beside(self, name: str, program: str, **variables: str) -> str:
        """Write a pod as the example's with another program; return its files for `up`."""
        (self.folder / f"{name}.py").write_text(program)
        self.run(f"alongside create configmap {name}-program --from-file={name}.py > {name}-p.yaml")
        pod, service = yaml.safe_load_all((self.folder / "legacy.yaml").read_text())
        inner, outer = str(PODS[name] - 443), PODS[name]
        pod["metadata"] = {"name": name, "labels": {"app": name}}
        ours, tls = pod["spec"]["containers"]
        ours |= {"name": name, "command": ["python3", f"/srv/legacy/{name}.py"]}
        ours["env"] = [
            {"name": "PORT", "value": inner},
            {"name": "PYTHONPATH", "value": "/packages"},
        ]
        ours["volumeMounts"] += [{"name": "packages", "mountPath": "/packages", "readOnly": True}]
        told = {"PROXY_PORT": inner, "TLS_LISTEN": f"0.0.0.0:{outer}", **variables}
        tls["env"][:1] = [{"name": key, "value": value} for key, value in told.items()]
        tls["ports"][0]["containerPort"] = tls["readinessProbe"]["tcpSocket"]["port"] = outer
        pod["spec"]["volumes"][0]["configMap"]["name"] = f"{name}-program"
        pod["spec"]["volumes"] += [PACKAGES]
        service["metadata"]["name"] = service["spec"]["selector"]["app"] = name
        service["spec"]["ports"][0] |= {"port": outer, "targetPort": outer}
        (self.folder / f"{name}.yaml").write_text(yaml.safe_dump_all([pod, service]))
        return f"{name}-p.yaml {name}.yaml"


class Stage:
    """The example and two pods more, up on an engine."""

    def __init__(self, example: Example, engine: str) -> None:
        self.example = example
        self.engine = engine
        _, *making, up, _, _ = example.block(1)
        self.make = "\n".join(making)
        example.run(self.make)
        talk = example.beside("talk", TALK)
        echo = example.beside("echo", ECHO, TLS_PROXY_PROTOCOL="h2c")
        self.up = f"{up} {talk} {echo} --engine {engine}"
        said = example.run(self.up)
        assert f"engine {engine}" in said, said


@contextlib.contextmanager
def stage(engine: str) -> Iterator[Stage]:
    """Yield the example on an engine; skips the test where this machine has none."""
    if engine != "process" and os.geteuid() != 0:
        pytest.skip("waits for root")
    with contextlib.ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lh")))
        variables = _docker(stack) if engine == "docker" else {}
        example = Example(base, **variables)
        if engine == "docker":
            (example.folder / "python.tar").symlink_to(docker.base())
            _, *lines = example.block(2)
            example.run("\n".join(lines))
        try:
            yield Stage(example, engine)
        finally:
            example.run("alongside down")


def _docker(stack: contextlib.ExitStack) -> dict[str, str]:
    """Start a Docker engine of our own; return the variables by which it is found."""
    for command in ("dockerd", "debootstrap"):
        if shutil.which(command, path="/usr/sbin:/sbin:/usr/bin") is None:
            pytest.skip(f"waits for {command}: see scripts/debian-packages.txt")
    return {"DOCKER_HOST": stack.enter_context(docker.daemon()).own.host}
