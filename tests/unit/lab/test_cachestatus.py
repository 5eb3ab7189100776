import pytest

from alongside.lab import cachestatus

HIT, JOINED, MISSED, SILENT = cachestatus.Outcome


@pytest.mark.parametrize(
    ("field", "outcome", "caches"),
    [
        (None, SILENT, []),
        ("", SILENT, []),
        ("photos-0", SILENT, ["photos-0"]),
        ("photos-0; hit", HIT, ["photos-0"]),
        ("photos-0;hit;ttl=30", HIT, ["photos-0"]),
        ("photos-0; fwd=uri-miss; stored", MISSED, ["photos-0"]),
        ("photos-0; fwd=uri-miss; collapsed", JOINED, ["photos-0"]),
        ("photos-0; fwd=stale; fwd-status=304", MISSED, ["photos-0"]),
        ("far; fwd=miss, near; hit", HIT, ["far", "near"]),
        ("far; hit, near; fwd=miss", HIT, ["far", "near"]),
        ('"a, b; hit"; fwd=miss', MISSED, ["a, b; hit"]),
        ('x; detail="say \\", hit"; fwd=bypass', MISSED, ["x"]),
        ("x; hitherto", SILENT, ["x"]),
        (" , x; hit", HIT, ["x"]),
    ],
)
def test_reads_what_the_caches_said(
    field: str | None, outcome: cachestatus.Outcome, caches: list[str]
) -> None:
    assert cachestatus.outcome(field) is outcome
    assert cachestatus.caches(field) == caches
