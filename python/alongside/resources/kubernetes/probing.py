"""Declare how containers are looked at, and what is done at their start and end."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pydantic

from alongside.resources import fields
from alongside.resources.kubernetes import values


class HttpHeader(values.Model):
    """A field of a probe's request."""

    name: Annotated[values.Text, pydantic.Field(pattern=r"^[-A-Za-z0-9!#$%&'*+.^_`|~]+$")]
    value: Annotated[values.Text, pydantic.Field(pattern=r"^[^\r\n]*$")] = ""


class HttpGet(values.Model):
    """A look by GET; 200 to 399 is success."""

    path: values.Text = "/"
    port: values.PortReference
    host: values.Text | None = None
    scheme: Annotated[Literal["HTTP", "HTTPS"], fields.word("HTTP", "HTTPS")] = "HTTP"
    http_headers: list[HttpHeader] = pydantic.Field(default_factory=list)


class TcpSocket(values.Model):
    """A look by connecting."""

    port: values.PortReference
    host: values.Text | None = None


class Exec(values.Model):
    """A look by a command; exit 0 is success."""

    command: Annotated[list[values.Text], pydantic.Field(min_length=1)]


class Grpc(values.Model):
    """A look by gRPC's health protocol."""

    port: fields.Port
    service: values.Text = ""


class Probe(values.Model):
    """How a container shows that it can be used."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    grpc: Grpc | None = None
    initial_delay_seconds: values.Seconds = 0
    period_seconds: values.PositiveSeconds = 10
    timeout_seconds: values.PositiveSeconds = 1
    success_threshold: values.Threshold = 1
    failure_threshold: values.Threshold = 3
    termination_grace_period_seconds: values.Grace | None = None

    @pydantic.model_validator(mode="after")
    def _one_way(self) -> Probe:
        ways = [self.http_get, self.tcp_socket, self.exec, self.grpc]
        if sum(way is not None for way in ways) != 1:
            raise ValueError("write exactly one of httpGet, tcpSocket, exec and grpc")
        return self


class Sleep(values.Model):
    """A pause before the end."""

    seconds: values.Seconds


class Handler(values.Model):
    """What is done at a container's start or end."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"tcpSocket"})
    exec: Exec | None = None
    http_get: HttpGet | None = None
    sleep: Sleep | None = None

    @pydantic.model_validator(mode="after")
    def _one_way(self) -> Handler:
        if sum(way is not None for way in [self.exec, self.http_get, self.sleep]) != 1:
            raise ValueError("write exactly one of exec, httpGet and sleep")
        return self


class Lifecycle(values.Model):
    """What is done right after a container's start, and before its end."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"stopSignal"})
    post_start: Handler | None = None
    pre_stop: Handler | None = None
