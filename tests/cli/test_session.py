from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.calling import serinus

from serinus.cli.session import Session, first
from serinus.errors import InvalidInput


def test_options_are_the_strongest_origin(tmp_path: Path) -> None:
    session = Session(str(tmp_path), ["control_port=9001", "host=127.0.0.2"])

    settings = session.settings(control_port=9002, gateway_port=None)

    assert settings.home == tmp_path
    assert (settings.control_port, settings.host, settings.gateway_port) == (
        9002,
        "127.0.0.2",
        8080,
    )


@pytest.mark.parametrize("text", ["control_port", "nothing=1", "=1"])
def test_set_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="sets nothing"):
        Session(None, [text]).options()


def test_set_out_of_bounds_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refusal:
        Session(str(tmp_path), ["control_port=99999"]).settings()

    assert "control_port" in refusal.value.faults[0]


def test_client_is_of_the_settings_or_of_what_is_given(tmp_path: Path) -> None:
    session = Session(str(tmp_path), ["control_port=9001"])

    with session.client() as client:
        assert client.control_url == "http://127.0.0.1:9001"
    with session.client("http://elsewhere:1/", "http://gate:2") as client:
        assert (client.control_url, client.gateway_url) == ("http://elsewhere:1", "http://gate:2")


def test_first_asks_for_no_more_than_it_shows() -> None:
    asked = iter(range(10))

    assert first(asked, 3) == [0, 1, 2]
    assert next(asked) == 3


def test_nothing_is_broken_where_standard_output_is_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / ("long-" * 30)
    monkeypatch.delenv("COLUMNS", raising=False)

    whole = serinus("config", "show", home=home).out
    monkeypatch.setenv("COLUMNS", "90")
    narrow = serinus("config", "show", home=home).out

    assert str(home) in whole
    assert max(map(len, narrow.splitlines())) <= 90
