"""The bill of an image lists each part once, in one order, with its licence."""

import json

from alongside.images import bill, contents

CREATED = "1970-01-01T00:00:00Z"


def test_equal_parts_give_equal_bytes_whatever_their_order() -> None:
    parts = [bill.Part("cargo", "b", "1", "MIT"), bill.Part("cargo", "a", "1", "")]
    text = bill.render("x", parts, CREATED)
    assert text == bill.render("x", [*reversed(parts), parts[0]], CREATED)
    told = json.loads(text)
    assert [one["name"] for one in told["packages"]] == ["x", "a", "b"]
    assert told["packages"][1]["licenseDeclared"] == "NOASSERTION"
    assert told["packages"][2]["externalRefs"][0]["referenceLocator"] == "pkg:cargo/b@1"
    assert len({one["SPDXID"] for one in told["packages"]}) == 3


def test_the_crates_of_the_binary_are_known_with_their_licences() -> None:
    found = {part.name: part for part in bill.crates()}
    assert found["httparse"].licence
    assert "proptest" not in found
    assert "alongside-http" not in found


def test_the_packages_are_those_that_run_and_not_those_that_test() -> None:
    found = {part.name for part in bill.packages(contents.distributions())}
    assert {"click", "pydantic", "pydantic-core", "pyyaml"} <= found
    assert not {"alongside", "pytest", "mypy"} & found
