"""Build and read the data plane's documents as typed values.

In:    values of the generated types, or a document's bytes.
Out:   bytes that the data plane takes, or every problem with its path; nothing in between.
Not:   deciding what a document should say; files, sockets; the types' own source (rust/document).
Next:  plans build documents with it; `python schema/generate.py` makes generated.py anew.
"""

from __future__ import annotations

import json
from typing import cast

from alongside import native
from alongside.base import errors
from alongside.document.generated import (
    About,
    AccessLog,
    Acme,
    Admin,
    Backend,
    Cache,
    Certificate,
    Challenge,
    ClientMode,
    Clients,
    ClientSocket,
    CompatibleWith,
    Document,
    EffectiveValue,
    Ejection,
    Fallback,
    Function,
    Health,
    JsonObject,
    KeyHash,
    Limits,
    Listener,
    Node,
    Origin,
    Place,
    Pool,
    PoolFunction,
    PoolLimits,
    PoolPlacedAs,
    PoolPlacement,
    PoolProtocol,
    Probe,
    Program,
    Protocol,
    Redirect,
    Replica,
    Retries,
    Route,
    Server,
    ServerTls,
    Shard,
    Speaks,
    Status,
    Tcp,
    Tls,
    TwemproxyStats,
    User,
    Version,
)

__all__ = [
    "About",
    "AccessLog",
    "Acme",
    "Admin",
    "Backend",
    "Cache",
    "Certificate",
    "Challenge",
    "ClientMode",
    "ClientSocket",
    "Clients",
    "CompatibleWith",
    "Document",
    "EffectiveValue",
    "Ejection",
    "Fallback",
    "Function",
    "Health",
    "JsonObject",
    "KeyHash",
    "Limits",
    "Listener",
    "Node",
    "Origin",
    "Place",
    "Pool",
    "PoolFunction",
    "PoolLimits",
    "PoolPlacedAs",
    "PoolPlacement",
    "PoolProtocol",
    "Probe",
    "Program",
    "Protocol",
    "Redirect",
    "Replica",
    "Retries",
    "Route",
    "Server",
    "ServerTls",
    "Shard",
    "Speaks",
    "Status",
    "Tcp",
    "Tls",
    "TwemproxyStats",
    "User",
    "Version",
    "read",
    "write",
]


def read(content: bytes) -> Document:
    """Return a document's values, defaults filled in.

    Raises:
        errors.UsageError: it is not one; every problem with its path and its remedy.
    """
    _check(content)
    return Document.from_json(cast("JsonObject", json.loads(content)))


def write(document: Document) -> bytes:
    """Return a document as JSON, one field a line, that the data plane takes.

    Raises:
        errors.UsageError: the data plane would refuse it; every problem with its path.
    """
    content = json.dumps(document.to_json(), indent=2, ensure_ascii=False).encode() + b"\n"
    _check(content)
    return content


def _check(content: bytes) -> None:
    problems = native.check_document(content)
    if problems:
        raise errors.UsageError(*(f"{path or 'document'}: {what}" for path, what in problems))
