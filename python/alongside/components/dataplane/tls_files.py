"""Say what is plainly wrong with the files of TLS, before the data plane reads them.

Whether a key belongs to its certificate, and until when that is valid, the data plane finds out.
"""

from __future__ import annotations

import os

from alongside.base import nearest, units

CHAIN_NAME, KEY_NAME = "tls.crt", "tls.key"
"""What a folder holds, as Kubernetes' secrets do."""
BYTES_MAX = 2**20

_USUAL_PAIRS = (("fullchain.pem", "privkey.pem"), ("cert.pem", "key.pem"))
"""What other tools call them."""
_SHOWN_MAX = 200
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_KEY = b"PRIVATE KEY-----"


def problem_of_pair(path: str, key: str | None) -> str:
    """Return what is wrong with a chain and its key; empty where nothing is.

    Args:
        path: absolute; a folder with both, or a PEM file.
        key: the path of the key's own file.
    """
    if os.path.isdir(path):
        return _problem_of_folder(path, has_key=key is not None)
    problem, content = _read(path)
    if problem:
        return problem
    if _CERTIFICATE not in content:
        return f"{_shown(path)} holds no certificate; name a PEM file with the chain"
    if key is None and _KEY not in content:
        return f"{_shown(path)} holds no key; name the key's file by --key-path"
    return ""


def problem_of_file(path: str | None) -> str:
    """Return what is wrong with a file that has to be read; empty where nothing is."""
    return "" if path is None else _read(path)[0]


def _problem_of_folder(path: str, *, has_key: bool) -> str:
    needed = [CHAIN_NAME] if has_key else [CHAIN_NAME, KEY_NAME]
    try:
        names = set(os.listdir(path))
    except OSError as error:
        return f"{_shown(path)} cannot be read: {error.strerror}; {_remedy(error)}"
    lacking = [name for name in needed if name not in names]
    if lacking:
        for chain, key in _USUAL_PAIRS:
            if {chain, key} <= names:
                pair = f"--certificate-path {path}/{chain} --key-path {path}/{key}"
                return f"{_shown(path)} holds no {' and no '.join(lacking)}; write {pair}"
        return (
            f"{_shown(path)} holds no {' and no '.join(lacking)}; put them there, or name "
            "the chain's file, and the key's by --key-path"
        )
    for name in needed:
        problem, content = _read(os.path.join(path, name))
        if problem:
            return problem
        if (_CERTIFICATE if name == CHAIN_NAME else _KEY) not in content:
            what = "certificate" if name == CHAIN_NAME else "key"
            return f"{_shown(os.path.join(path, name))} holds no {what}; put one there, in PEM"
    return ""


def _read(path: str) -> tuple[str, bytes]:
    """Return what is wrong with a file, or its content."""
    shown = _shown(path)
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            return f"{shown} is not a file; name one", b""
        with open(path, "rb") as stream:
            content = stream.read(BYTES_MAX + 1)
    except FileNotFoundError:
        near = _near(path)
        return (
            f"{shown} does not exist; {f'did you mean {near}?' if near else 'check the name'}",
            b"",
        )
    except OSError as error:
        return f"{shown} cannot be read: {error.strerror}; {_remedy(error)}", b""
    if not content:
        return f"{shown} is empty; put in what belongs there", b""
    if len(content) > BYTES_MAX:
        return f"{shown} is longer than {BYTES_MAX} bytes; name another", b""
    return "", content


def _near(path: str) -> str:
    folder, name = os.path.split(path)
    try:
        names = os.listdir(folder)
    except OSError:
        return ""
    found = nearest.nearest(name, names)
    return os.path.join(folder, found) if found else ""


def _remedy(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"let user {os.geteuid()} read it"
    return "check the path"


def _shown(path: str) -> str:
    """Return a path whole, since what is wrong with it may be its end; not so a monstrous one."""
    is_plain = path.isprintable() and len(path) <= _SHOWN_MAX
    return f'"{path}"' if is_plain else units.shown(path)
