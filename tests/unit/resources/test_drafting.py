"""The first file for a service that runs here."""

import pytest

from alongside.plan import building
from alongside.resources import drafting, reading, texts


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["/usr/bin/python3", "-u", "/srv/Photo App.py", "--port=1"], "photo-app"),
        (["python3.11", "-m", "http.server"], "http-server"),
        (["./server"], "server"),
        (["nginx: master process /usr/sbin/nginx"], "nginx"),
        (["node", "index.js"], "index"),
        ([""], "service"),
        (["ü"], "service"),
    ],
)
def test_names_a_service_by_its_program(words: list[str], name: str) -> None:
    assert drafting.name_of(drafting.Service(words, "/", 1)) == name


@pytest.mark.parametrize("words", [["a"], ['quo"ted', "new\nline", "${x}", "\\"]])
def test_what_it_writes_can_be_run_with_and_without_the_service(words: list[str]) -> None:
    service = drafting.Service(words, "/srv/a folder", 8000)
    text = drafting.draft(service, port=8080, file="my file.yaml")
    assert "alongside up 'my file.yaml' " in text
    plan = building.plan(reading.read([texts.Source("f.yaml", "/", text)]))
    assert [cache.origin.address for cache in plan.caches] == ["127.0.0.1:8000"]
    assert len(plan.processes) == 5
    below = text.index("# ---")
    whole = text[:below] + text[below:].replace("\n# ", "\n").removeprefix("# ")
    whole = whole.replace(
        'origin: {url: "http://127.0.0.1:8000"}',
        f"origin: {{service: {drafting.name_of(service)}, port: 8000}}",
    )
    plan = building.plan(reading.read([texts.Source("f.yaml", "/", whole)]))
    assert len(plan.processes) == 6


def test_what_may_be_secret_is_not_written() -> None:
    words = ["redis-server", "--requirepass", "hunter2", "--api-token=abc", "postgres://u:p@h/d"]
    text = drafting.draft(drafting.Service(words, "/", 8000), port=8080, file="a\nb")
    assert "alongside up FILE " in text
    assert '["redis-server", "--requirepass", "***", "--api-token=***", "***"]' in text
