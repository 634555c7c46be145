"""Nothing is told or done for a page whose name was made to lead here."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import httpx
import pytest
from tests.api.running import MODEL, Faces, running

from serinus.api import hosts
from serinus.registry.types import Stage

# What a page of evil.example:8090 sends once that name leads to 127.0.0.1: for the browser it is
# the page's own site.
REBOUND = {
    "host": "evil.example:8090",
    "origin": "http://evil.example:8090",
    "sec-fetch-site": "same-origin",
}


READ = ("/", "/docs", "/dashboard/assets/live.js", "/openapi.json", "/nothing", "/health")


def test_page_whose_name_leads_here_reads_and_changes_nothing(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    begun = faces.app.delivery.create({"model": MODEL, "challenger": "1.1.0"}, actor="test").id
    hidden = REBOUND | {"x-forwarded-host": "localhost"}
    with httpx.Client(base_url=faces.url, headers=hidden) as page:
        for path in (*READ, "/deployments/events", f"/deployments/{begun}"):
            answer = page.get(path)
            assert (path, answer.status_code) == (path, 421)
            assert answer.json()["where"] == "host evil.example:8090"
            assert "SERINUS_ALLOWED_HOSTS" in answer.json()["remedy"]
        assert page.post(f"/deployments/{begun}/abort", json={}).status_code == 421
    assert faces.app.delivery.get(begun).live


def test_command_line_and_browser_ask_by_what_leads_here_alone(faces: Faces) -> None:
    port = httpx.URL(faces.url).port
    for name in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", socket.gethostname()):
        for path in ("/", "/health", "/dashboard/live", "/openapi.json"):
            answer = httpx.get(faces.url + path, headers={"host": name})
            assert (name, path, answer.status_code) == (name, path, 200)
    twice = b"1.1\r\nHost: localhost\r\nHost: evil\r\n"
    for head, taken in ((b"1.0\r\n", True), (twice, False)):
        with socket.create_connection(("127.0.0.1", port or 0), timeout=10) as asking:
            asking.sendall(b"GET /health HTTP/" + head + b"\r\n")
            assert (b" 200 " in asking.recv(100)) is taken


def test_name_that_a_proxy_keeps_is_taken_once_it_is_set(template: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(template, home)
    with running(home, allowed_hosts="serinus.example.org") as served:
        told = {"host": "serinus.example.org", "origin": "https://serinus.example.org"}
        assert httpx.get(f"{served.url}/", headers=told).status_code == 200
        assert httpx.get(f"{served.url}/", headers=REBOUND).status_code == 421
        done = httpx.post(f"{served.url}/models/none/rollback", headers=told)
        assert done.status_code == 404


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("box", True),
        ("box.corp.example:8090", True),
        ("Box.corp.example.", True),
        ("bound.example", True),
        ("a.below.example", True),
        ("b.a.below.example:1", True),
        ("one.example", True),
        ("10.1.2.3", True),
        ("[fe80::1]:8090", True),
        ("below.example", False),
        ("abelow.example", False),
        ("one.example.evil.example", False),
        ("evil.one.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example#localhost", False),
        ("localhost@evil.example", False),
        ("[evil.example]", False),
        ("localhost:80:80", False),
        ("localhost, evil.example", False),
        ("*", False),
        ("", False),
    ],
)
def test_names_of_this_machine_and_those_that_are_allowed(
    monkeypatch: pytest.MonkeyPatch, host: str, ours: bool
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "box.corp.example")
    names = hosts.names_of("bound.example", " *.below.example, One.example.,")

    assert hosts.is_ours(host, names) is ours


def test_star_is_any_name() -> None:
    assert hosts.is_ours("anybody.example:80", hosts.names_of("127.0.0.1", "*"))
