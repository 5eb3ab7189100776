"""No Dockerfile, script or template makes anything but a result or an answer to its user."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alongside.base import errors
from alongside.components.wrap import filling
from alongside.contract import page
from alongside.contract.drafting import (
    checking,
    completing,
    configurations,
    dockerfiles,
    drafting,
    images,
    scripts,
    stages,
    writing,
)

_PIECES = st.sampled_from(
    [
        *("FROM a AS b\n", "FROM b\n", "FROM scratch\n", "ENV A=b C='d\n", "ENV X y z\n", "ENV "),
        *("ARG V=1\n", "ARG V\n", "ENV P=${V:-${W:+x}}\n", "EXPOSE $P 80/udp 1-9\n", "LABEL a=b\n"),
        *(
            "RUN <<EOF\n",
            "EOF\n",
            "COPY <<-'E' /e.sh\n",
            "COPY --from=b /x/ /\n",
            "ONBUILD ENV A=1\n",
        ),
        *(
            'CMD ["/e.sh"]\n',
            "CMD $A\n",
            'ENTRYPOINT ["a", 1]\n',
            "HEALTHCHECK CMD curl localhost\n",
        ),
        *(
            "# note\n",
            "# escape=`\n",
            "\\\n",
            "`\n",
            "\n",
            "$",
            "{",
            "}",
            '"',
            "'",
            "\\",
            "\0",
            "é",
        ),
        *(
            "USER a:b\n",
            "VOLUME [\n",
            "STOPSIGNAL 9\n",
            "file_env 'A' 'B'\n",
            ": ${A:?no}\n",
            "=",
            " ",
        ),
        *("ENV A_PASSWORD=x\n", "ENV T_MS=5 U_MB=6\n", "MAINTAINER x\n", "WORKDIR ../..\n"),
    ]
)
_TEXTS = st.one_of(
    st.binary(max_size=300),
    st.lists(_PIECES, max_size=25).map(lambda pieces: "".join(pieces).encode()),
    st.lists(_PIECES, max_size=25).map(lambda pieces: ("FROM x\n" + "".join(pieces)).encode()),
)


def judge(image: images.Image) -> None:
    """Do everything that is done with an image."""
    draft = drafting.draft(image, "app")
    text = writing.text(draft, "Dockerfile")
    assert page.render(draft.contract)
    assert completing.check(text, "draft")[0] == draft.contract
    for contract in (None, draft.contract):
        lines = [finding.line for finding in checking.check(image, contract)]
        assert all("; " in line for line in lines)


@pytest.mark.timeout(1200)
@given(content=_TEXTS, script=_TEXTS)
def test_every_dockerfile_is_answered(content: bytes, script: bytes) -> None:
    parsed = dockerfiles.parse(content)
    try:
        image = stages.image_of(
            parsed,
            name="Dockerfile",
            read=lambda _: "#!/bin/sh\n" + script.decode(errors="replace"),
        )
    except errors.UsageError as error:
        told = tuple(f"Dockerfile:{one.line}: {one.text}" for one in parsed.problems)
        assert error.problems[: stages.PROBLEMS_MAX] == told  # noqa: PT017 - both outcomes are right
    else:
        judge(image)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)
_KEYS = (
    "Env",
    "ExposedPorts",
    "Labels",
    "User",
    "Volumes",
    "StopSignal",
    "Entrypoint",
    "Cmd",
    "OnBuild",
)


@pytest.mark.timeout(1200)
@given(found=st.dictionaries(st.sampled_from(_KEYS), _JSON))
@example(found={"Env": None, "User": ":"})
def test_every_configuration_is_answered(found: dict[str, object]) -> None:
    judge(configurations.image_of({"config": found}, "app"))


@given(content=_TEXTS)
def test_every_script_is_answered(content: bytes) -> None:
    scripts.look(content.decode(errors="replace"))


_TEMPLATE_PIECES = st.sampled_from(
    [
        *(
            "{{",
            "}}",
            "{%",
            "%}",
            "{#",
            "#}",
            " port ",
            " wait ",
            " none ",
            "|seconds",
            "|bytes",
            "|upper",
        ),
        *(
            " if ",
            " endif ",
            " for x in ",
            " range(9) ",
            "endfor",
            " + ",
            " 1 ",
            "'a'",
            ".x",
            "[0]",
            "()",
        ),
        *(
            "__class__",
            " set y = ",
            " macro m() ",
            " include 'a' ",
            " import 'a' as b ",
            "%",
            "*",
            "\n",
        ),
    ]
)


@given(pieces=st.lists(_TEMPLATE_PIECES, max_size=25))
def test_every_template_is_answered(pieces: list[str]) -> None:
    template = filling.Template("t", "".join(pieces))
    filled = filling.fill([template], ["port", "wait"], {"port": 80, "wait": None})
    assert len(filled.texts) + bool(filled.problems) >= 1
