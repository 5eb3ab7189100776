"""What `alongside certs` makes is what openssl takes; who trusts it was asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PEM_BEGINS = "-----BEGIN CERTIFICATE-----"


class Home:
    """A user's home, and the command in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before: tuple[str, ...] = ()
        """What makes somebody else of who runs the tests."""
        self.variables = {**os.environ, "HOME": str(path), "XDG_STATE_HOME": str(path / "state")}
        self.authority = path / "state" / "alongside" / "authority"
        self.ca = self.authority / "ca" / "ca.crt"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command."""
        return subprocess.run(
            [*self.before, sys.executable, "-m", "alongside", "certs", *words],
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def done(self, *words: str) -> str:
        """Return what it says where it does what it should."""
        ran = self.run(*words)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def made(self, *words: str) -> Path:
        """Return the folder of a certificate."""
        return Path(self.done("create", *words).strip())

    def refused(self, *words: str) -> str:
        """Return what is wrong with wrong words."""
        ran = self.run(*words)
        assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
        return ran.stderr


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def openssl(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["openssl", *map(str, words)], capture_output=True, text=True, timeout=30, check=False
    )


def verifies(home: Home, folder: Path, *words: str) -> bool:
    strict = ("-x509_strict", "-purpose", "sslserver", "-CAfile", home.ca)
    return openssl("verify", *strict, *words, folder / "tls.crt").returncode == 0


def shown(home: Home) -> dict[str, dict[str, object]]:
    told = json.loads(home.done("show", "--json"))
    return {row["name"]: row for row in told["certificates"]}


@pytest.mark.needs("openssl")
def test_openssl_takes_what_was_made_for_its_names_alone(home: Home) -> None:
    folder = home.made("shop.localhost", "*.shop.localhost", "192.168.0.7")
    assert folder == home.authority / "certificates" / "shop.localhost"
    for name in ("shop.localhost", "a.shop.localhost", "localhost"):
        assert verifies(home, folder, "-verify_hostname", name), name
    for address in ("127.0.0.1", "::1", "192.168.0.7"):
        assert verifies(home, folder, "-verify_ip", address), address
    for name in ("other.localhost", "a.b.shop.localhost"):
        assert not verifies(home, folder, "-verify_hostname", name), name
    assert not verifies(home, folder, "-verify_ip", "127.0.0.2")
    of_key = openssl("pkey", "-in", folder / "tls.key", "-pubout").stdout
    assert of_key == openssl("x509", "-in", folder / "tls.crt", "-noout", "-pubkey").stdout != ""
    curve = openssl("pkey", "-in", folder / "tls.key", "-noout", "-text").stdout
    assert "prime256v1" in curve
    assert openssl("verify", "-x509_strict", "-CAfile", home.ca, home.ca).returncode == 0


@pytest.mark.needs("openssl")
def test_keys_are_closed_and_nothing_else_is_left(home: Home) -> None:
    folder = home.made()
    keys = [home.authority / "ca" / "ca.key", folder / "tls.key"]
    assert [key.stat().st_mode & 0o777 for key in keys] == [0o600, 0o600]
    assert home.authority.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in home.authority.iterdir()) == [
        "ca",
        "certificates",
        "issuing.lock",
    ]


@pytest.mark.needs("openssl")
def test_what_is_there_is_kept_and_renewed_in_place(home: Home) -> None:
    folder = home.made("shop.localhost")
    first = shown(home)["shop.localhost"]["fingerprint"]
    assert home.made("shop.localhost") == folder
    assert shown(home)["shop.localhost"]["fingerprint"] == first
    assert "not due" in home.done("renew", "--if-due")
    assert shown(home)["shop.localhost"]["fingerprint"] == first
    assert "shop.localhost: renewed" in home.done("renew", "shop.localhost")
    assert shown(home)["shop.localhost"]["fingerprint"] != first
    assert verifies(home, folder, "-verify_hostname", "shop.localhost")


@pytest.mark.needs("openssl")
def test_show_says_what_openssl_says(home: Home) -> None:
    folder = home.made("shop.localhost")
    rows = shown(home)
    own = rows["shop.localhost"]
    told = openssl("x509", "-in", folder / "tls.crt", "-noout", "-fingerprint", "-sha256").stdout
    assert own["fingerprint"] == told.partition("=")[2].strip().replace(":", "").lower()
    assert own["hosts"] == ["shop.localhost", "localhost", "127.0.0.1", "::1"]
    assert (own["days_left"], own["trusted"], own["problem"]) in [(89, False, ""), (90, False, "")]
    table = home.done("show")
    assert [line.split()[0] for line in table.splitlines()] == [
        "name",
        "(authority)",
        "shop.localhost",
    ]
    assert str(own["fingerprint"])[:16] in table


@pytest.mark.needs("openssl")
def test_bundle_is_what_programs_are_told_to_believe(home: Home, tmp_path: Path) -> None:
    folder = home.made()
    own = home.done("bundle")
    assert own == home.ca.read_text()
    whole = tmp_path / "whole.pem"
    whole.write_text(home.done("bundle", "--system"))
    assert whole.read_text().count(PEM_BEGINS) > 50
    assert openssl("verify", "-CAfile", whole, folder / "tls.crt").returncode == 0
    lines = home.done("bundle", "--shell")
    script = f'{lines}\necho "$REQUESTS_CA_BUNDLE" "$NODE_EXTRA_CA_CERTS"'
    told = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    bundle, node = told.stdout.split()
    assert Path(bundle).read_text() == whole.read_text()
    assert Path(node) == home.ca


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("show",), "there is no authority yet; write alongside certs create"),
        (("bundle",), "there is no authority yet"),
        (("trust",), "there is no authority yet"),
        (("renew",), "there is no certificate; write alongside certs create"),
        (("create", "https://shop.localhost:8443/"), 'write the host alone, "shop.localhost"'),
        (("create", "--name", "../x"), '"../x" is no name of a certificate'),
        (("create", "a b"), "write for example shop.localhost"),
    ],
)
def test_bad_input_is_refused_with_what_to_write(
    home: Home, words: tuple[str, ...], remedy: str
) -> None:
    assert remedy in home.refused(*words)
    assert not home.authority.exists()


def test_a_name_that_is_taken_or_unknown_is_refused(home: Home) -> None:
    home.made("shop.localhost")
    assert "write --name with another name" in home.refused(
        "create", "--name", "shop.localhost", "b.localhost"
    )
    assert "did you mean shop.localhost?" in home.refused("renew", "shpo.localhost")


def test_half_an_authority_is_refused_until_it_is_removed(home: Home) -> None:
    home.made()
    (home.authority / "ca" / "ca.key").unlink()
    for words in (("create",), ("show",), ("renew",), ("trust",), ("bundle",)):
        assert f"remove {home.authority}/ca and write alongside certs create" in home.refused(
            *words
        )
    shutil.rmtree(home.authority / "ca")
    home.made()
    assert shown(home)["localhost"]["problem"] == ""


SYSTEM = Path("/usr/local/share/ca-certificates")


@pytest.fixture
def ordinary() -> Iterator[Home]:
    """Yield the home of somebody who may not change the system."""
    with tempfile.TemporaryDirectory(prefix="alongside-certs-") as path:  # others may go there
        home = Home(Path(path))
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
            home.before = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        elif os.access(SYSTEM, os.W_OK):
            pytest.skip("whoever runs the tests may change whom this system believes")
        yield home


@pytest.mark.needs("setpriv", "update-ca-certificates")
def test_who_may_not_change_the_system_is_told_the_commands(ordinary: Home) -> None:
    ordinary.made()
    ran = ordinary.run("trust")
    assert ran.returncode == 1, ran.stderr
    assert f"write: sudo install -m 644 {ordinary.ca} {SYSTEM}/alongside-" in ran.stdout
    assert "&& sudo " in ran.stdout
    assert "undo it: alongside certs trust --remove" in ran.stderr


@pytest.mark.needs("setpriv", "certutil")
def test_browsers_of_this_user_believe_it_when_asked_and_no_more_when_told(ordinary: Home) -> None:
    ordinary.made()
    profile = ordinary.path / ".mozilla" / "firefox" / "x.default"
    chromium = ordinary.path / ".pki" / "nssdb"

    def certutil(path: Path, *words: str) -> str:
        return subprocess.run(
            [*ordinary.before, "certutil", "-d", f"sql:{path}", *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout

    def listed() -> list[bool]:
        names = [certutil(path, "-L") for path in (profile, chromium)]
        return ["alongside development authority" in name for name in names]

    subprocess.run([*ordinary.before, "mkdir", "-p", profile], check=True, timeout=30)
    certutil(profile, "-N", "--empty-password")
    told = ordinary.run("trust").stdout
    assert "Chromium: believes it\n" in told
    assert "Firefox (x.default): believes it\n" in told
    assert listed() == [True, True]
    assert "Firefox (x.default): believes it no more\n" in ordinary.run("trust", "--remove").stdout
    assert listed() == [False, False]


IN_PRIVATE = """
set -e
for folder in /etc/ssl /usr/local/share/ca-certificates; do
  mkdir -p "$0/$(basename $folder)"
  cp -a $folder/. "$0/$(basename $folder)"
  mount --bind "$0/$(basename $folder)" $folder
done
python="$1"; leaf="$2"
! openssl verify "$leaf"
"$python" -m alongside certs trust
openssl verify "$leaf"
"$python" -m alongside certs show --json
"$python" -m alongside certs trust --remove
! openssl verify "$leaf"
ls /usr/local/share/ca-certificates
"""
"""What a user's root does, where what it changes is seen by nobody else."""


@pytest.mark.needs("openssl", "setpriv", "update-ca-certificates")
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts over the system's folders, for itself alone")
def test_the_system_believes_it_when_asked_and_no_more_when_told(
    home: Home, tmp_path: Path
) -> None:
    leaf = home.made() / "tls.crt"
    room = tmp_path / "room"
    room.mkdir()
    ran = subprocess.run(
        ["unshare", "--mount", "sh", "-c", IN_PRIVATE, room, sys.executable, leaf],
        env=home.variables,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if "permission denied" in ran.stderr and "mount" in ran.stderr:
        pytest.skip("this machine lets nobody mount")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count(f"{leaf}: OK") == 1
    assert "the system: believes it\n" in ran.stdout
    assert '"trusted": true' in ran.stdout
    assert "the system: believes it no more" in ran.stdout
    assert "alongside-" not in ran.stdout.splitlines()[-1]
    assert shown(home)["localhost"]["trusted"] is False
