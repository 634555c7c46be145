from __future__ import annotations

from pathlib import Path

from tests.cli.calling import serinus


def test_show_tells_values_with_their_origins(tmp_path: Path) -> None:
    (tmp_path / "serinus.toml").write_text("gateway_port = 8081\n")

    answer = serinus("--set", "control_port=8091", "config", "show", "--json", home=tmp_path)

    assert answer.json["control_port"]["value"] == 8091
    assert answer.json["control_port"]["origin"] == "option"
    assert answer.json["gateway_port"]["value"] == 8081
    assert answer.json["gateway_port"]["origin"].endswith("serinus.toml")
    assert answer.json["log_level"]["origin"] == "default"
    shown = serinus("config", "show", home=tmp_path)
    assert "gateway_port" in shown.out
    assert shown.code == 0


def test_show_conceals_passwords(tmp_path: Path) -> None:
    url = "postgresql://ann:secret@db/serinus"

    answer = serinus("--set", f"database_url={url}", "config", "show", "--json", home=tmp_path)

    assert answer.json["database_url"]["value"] == "postgresql://ann:***@db/serinus"
    assert "secret" not in answer.out


def test_wrong_file_is_2_and_lists_every_fault(tmp_path: Path) -> None:
    (tmp_path / "serinus.toml").write_text('gateway_port = "many"\nnothing = 1\n')

    answer = serinus("config", "show", home=tmp_path)

    assert answer.code == 2
    assert "gateway_port" in answer.err
    assert "nothing" in answer.err
