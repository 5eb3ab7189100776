"""Give the control plane the pure functions of the data plane: the one door to the extension.

In:    shard names, key expressions, documents, as plain values.
Out:   the shard of a key, the key of a request, what is wrong with a document,
       found by the same code that serves.
Not:   any logic of its own; files, sockets, threads.
Next:  plans, explanations and simulations call it; `help(native)` shows what each offers;
       rust/python is the other side, _native.pyi its stub.
"""

from __future__ import annotations

from alongside._native import (
    Key,
    Placement,
    TwemproxyPlacement,
    build_profile,
    check_document,
    document_schema,
    twemproxy_hash,
    version,
)

__all__ = [
    "Key",
    "Placement",
    "TwemproxyPlacement",
    "build_profile",
    "check_document",
    "document_schema",
    "twemproxy_hash",
    "version",
]
