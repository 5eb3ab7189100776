"""An authority's folder is whole or refused, closed to others, and changed at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from alongside.base import errors
from alongside.components.authority import issuing, store
from alongside.engines.pods import publishing
from alongside.plan import pods

NOW_S = 1_800_000_000.0
DAY_S = 86_400
NAMES = ("localhost", "127.0.0.1", "::1")


def publish(folder: Path, content: store.Content) -> object:
    listed = [pods.File(name, data, mode) for name, (data, mode) in content.items()]
    return publishing.publish(folder, listed)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "authority"


def opened(home: Path, days: float = 0) -> store.Store:
    return store.Store(home, NOW_S + days * DAY_S, publish)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_all_is_made_when_it_is_first_needed_and_kept(home: Path) -> None:
    made = opened(home).ready("me@here", "localhost", NAMES)
    assert made.folder == home / "certificates" / "localhost"
    assert (made.problem, set(made.told.names)) == ("", set(NAMES))
    again = opened(home, 1).ready("me@here", "localhost", NAMES)
    assert again.told == made.told
    assert [one.name for one in opened(home).all()] == ["localhost"]


def test_keys_are_for_their_owner_alone(home: Path) -> None:
    made = opened(home).ready("me@here", "localhost", NAMES)
    assert mode(home) == mode(home / "ca") == mode(made.folder) == 0o700
    assert mode(home / "ca" / "ca.key") == mode(made.folder / "tls.key") == 0o600


def test_it_is_renewed_when_two_thirds_are_over(home: Path) -> None:
    first = opened(home).ready("me@here", "localhost", NAMES)
    kept = opened(home, 59).ready("me@here", "localhost", NAMES)
    renewed = opened(home, 61).ready("me@here", "localhost", NAMES)
    assert kept.told == first.told
    assert renewed.told.ends_s == NOW_S + (61 + 90) * DAY_S


def test_one_more_host_makes_a_new_one_and_one_less_does_not(home: Path) -> None:
    first = opened(home).ready("me@here", "localhost", NAMES)
    more = opened(home).ready("me@here", "localhost", ("shop.localhost", *NAMES))
    assert more.told != first.told
    assert opened(home).ready("me@here", "localhost", NAMES).told == more.told


def test_a_pair_is_replaced_at_once(home: Path) -> None:
    made = opened(home).ready("me@here", "localhost", NAMES)
    before = (made.folder / "..data").readlink()
    both = [(made.folder / name).readlink() for name in ("tls.crt", "tls.key")]
    opened(home).issue("localhost", NAMES)
    assert (made.folder / "..data").readlink() != before
    assert [(made.folder / name).readlink() for name in ("tls.crt", "tls.key")] == both
    assert not [path for path in made.folder.iterdir() if path.name.startswith("..new")]


def test_a_new_authority_makes_old_certificates_useless_until_renewed(home: Path) -> None:
    opened(home).ready("me@here", "localhost", NAMES)
    shutil.rmtree(home / "ca")
    opened(home).begin("me@here")
    found = opened(home).found("localhost")
    assert found is not None
    assert "is another" in found.problem
    assert opened(home).ready("me@here", "localhost", NAMES).problem == ""


def without(name: str) -> Callable[[Path], None]:
    return lambda home: (home / "ca" / name).unlink()


def emptied(home: Path) -> None:
    (home / "ca" / "ca.key").write_bytes(b"")


def exchanged(home: Path) -> None:
    (home / "ca" / "ca.key").write_bytes(issuing.authority("other", NOW_S).key)


def opened_to_all(home: Path) -> None:
    (home / "ca" / "ca.key").chmod(0o644)


def of_a_file(home: Path) -> None:
    shutil.rmtree(home / "ca")
    (home / "ca").write_text("x")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (without("ca.key"), "holds half an authority; remove"),
        (without("ca.crt"), "holds half an authority; remove"),
        (emptied, "holds half an authority; remove"),
        (exchanged, "the key is not the certificate's; remove"),
        (opened_to_all, r"is open to others \(644\).* write chmod 600 "),
        (of_a_file, "is not a folder; remove"),
    ],
)
def test_half_an_authority_is_refused_with_a_remedy(
    home: Path, harm: Callable[[Path], None], told: str
) -> None:
    opened(home).begin("me@here")
    harm(home)
    for act in (opened(home).authority, lambda: opened(home).ready("me@here", "a", NAMES)):
        with pytest.raises(errors.UsageError, match=told):
            act()


def test_an_expired_authority_is_refused(home: Path) -> None:
    opened(home).begin("me@here")
    with pytest.raises(errors.UsageError, match="has expired; remove"):
        opened(home, 3651).authority()


def test_half_a_certificate_is_refused_but_made_anew_where_one_is_just_needed(home: Path) -> None:
    made = opened(home).ready("me@here", "localhost", NAMES)
    (made.folder / "tls.key").unlink()
    with pytest.raises(errors.UsageError, match="holds half a certificate; remove it"):
        opened(home).found("localhost")
    assert opened(home).ready("me@here", "localhost", NAMES).problem == ""


def test_two_who_begin_at_once_get_one_authority(home: Path) -> None:
    class Late(store.Store):
        """One that saw no authority, and comes second."""

        looks = 0

        def authority(self) -> issuing.Pair | None:
            self.looks += 1
            return None if self.looks == 1 else super().authority()

    first = opened(home).begin("me@here")
    assert Late(home, NOW_S, publish).begin("other@here") == first
    assert sorted(path.name for path in home.iterdir()) == ["ca", "issuing.lock"]


def test_a_folder_that_others_may_read_is_refused(home: Path) -> None:
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    with pytest.raises(errors.UsageError, match=r"is open to others \(755\).* write chmod 700 "):
        opened(home).begin("me@here")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(errors.PermanentError, match="set XDG_STATE_HOME"):
        opened(tmp_path / "file" / "authority").begin("me@here")
