"""Who is to believe an authority, and by which commands, depends on what a machine has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alongside.components.authority import issuing, trusting

CERTIFICATE = Path("/state/ca.crt")
PRINT = "ab" * 32


def has(*names: str) -> Callable[[str], str | None]:
    return lambda name: f"/bin/{name}" if name in names else None


def lines(machine: trusting.Machine, *, is_removal: bool = False) -> dict[str, str]:
    found = trusting.ways(machine, CERTIFICATE, PRINT, is_removal=is_removal)
    return {way.whom: way.by_hand() for way in found}


def test_debian_gets_a_file_and_an_update_by_root(tmp_path: Path) -> None:
    gone = tmp_path / "not-writable"  # what is not there cannot be written either
    machine = trusting.Machine(home=tmp_path, find=has("update-ca-certificates"), debian=gone)
    assert lines(machine) == {
        "the system": f"sudo install -m 644 /state/ca.crt {gone}/alongside-abababababababab.crt "
        "&& sudo /bin/update-ca-certificates"
    }
    assert lines(machine, is_removal=True) == {
        "the system": f"sudo rm -f {gone}/alongside-abababababababab.crt "
        "&& sudo /bin/update-ca-certificates"
    }


def test_who_may_write_there_needs_nobody(tmp_path: Path) -> None:
    machine = trusting.Machine(home=tmp_path, find=has("update-ca-certificates"), debian=tmp_path)
    [way] = trusting.ways(machine, CERTIFICATE, PRINT, is_removal=False)
    assert not way.needs_root
    assert not way.by_hand().startswith("sudo")


def test_fedora_gets_an_anchor(tmp_path: Path) -> None:
    machine = trusting.Machine(home=tmp_path, find=has("trust"), administrators=tmp_path)
    [line] = lines(machine).values()
    assert line.endswith("/bin/trust anchor --store /state/ca.crt")
    [line] = lines(machine, is_removal=True).values()
    assert line.endswith("/bin/trust anchor --remove /state/ca.crt")


def test_browsers_have_databases_of_their_own(tmp_path: Path) -> None:
    profile = tmp_path / ".mozilla" / "firefox" / "x.default"
    profile.mkdir(parents=True)
    (profile / "cert9.db").write_text("")
    machine = trusting.Machine(home=tmp_path, find=has("certutil"), administrators=tmp_path)
    found = lines(machine)
    assert list(found) == ["Chromium", "Firefox (x.default)"]
    assert found["Chromium"].startswith(f"mkdir -p -m 700 {tmp_path}/.pki/nssdb && ")
    assert found["Firefox (x.default)"] == (
        f"/bin/certutil -d sql:{profile} -A -t C,, "
        "-n 'alongside development authority abababababababab' -i /state/ca.crt"
    )
    assert list(lines(machine, is_removal=True)) == ["Firefox (x.default)"]
    bare = trusting.Machine(home=tmp_path, find=has())
    assert trusting.has_browsers_unserved(bare)
    assert not trusting.has_browsers_unserved(machine)


def test_a_way_stops_at_the_first_command_that_fails(tmp_path: Path) -> None:
    reached = tmp_path / "reached"
    script = ("sh", "-c", "echo no room >&2; exit 3")
    done = trusting.carry_out(trusting.Way("x", (script, ("touch", str(reached)))))
    assert done.reason == "sh: no room"
    assert not reached.exists()
    assert trusting.carry_out(trusting.Way("x", (("touch", str(reached)),))).reason == ""
    assert reached.exists()
    assert (
        "no-such-program" in trusting.carry_out(trusting.Way("x", (("no-such-program",),))).reason
    )


def test_the_system_believes_what_its_bundle_holds(tmp_path: Path) -> None:
    own, other = (issuing.authority(name, 1_800_000_000).chain.decode() for name in "ab")
    bundle = tmp_path / "bundle.crt"
    machine = trusting.Machine(home=tmp_path, bundles=(tmp_path / "none", bundle))
    assert trusting.bundle(machine) == ""
    bundle.write_text(other)
    assert not trusting.is_believed(machine, own)
    bundle.write_text(other + own)
    assert trusting.is_believed(machine, own)
    assert trusting.bundle(machine) == other + own
