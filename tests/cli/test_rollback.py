"""Taking a model back from the command line."""

from __future__ import annotations

from tests.cli.test_deployments import MODEL, Faces, call, two


def test_rollback_says_its_plan_and_then_what_it_did(faces: Faces) -> None:
    two(faces)
    call(faces, "deploy", MODEL, "1.1.0", "--no-shadow", "--json")
    plan = call(faces, "rollback", MODEL, "--dry-run").out
    assert "Back to 1.0.0. Checked before:" in plan
    assert "1. The deployment" in plan
    assert call(faces, "rollbacks", "list").out.strip() == "No model was ever taken back."
    done = call(faces, "rollback", MODEL, "--reason", "complaints").out
    assert "1.0.0 has all traffic, 1.1.0 has none" in done
    (row,) = call(faces, "rollbacks", "list", "--json").json["rollbacks"]
    shown = call(faces, "rollbacks", "show", row["id"]).out
    assert "because of by hand: complaints" in shown
    assert call(faces, "rollbacks", "show", MODEL).out == shown
    nobody = call(faces, "rollbacks", "show", "nope")
    assert (nobody.code, "serinus rollbacks list" in nobody.err) == (2, True)
    assert row["id"] in call(faces, "rollbacks", "list").out


def test_default_takes_json_and_text(faces: Faces) -> None:
    two(faces)
    assert "No model has a default." in call(faces, "default", "list").out
    wrong = call(faces, "default", "set", MODEL, "maybe")
    assert wrong.code == 2
    with faces.client as client:
        known = client.version(MODEL, "1.0.0").manifest.classes[0]
    told = call(faces, "default", "set", MODEL, str(known), "--reason", "the feed is broken")
    assert "where no version can" in told.out
    assert "the feed is broken" in call(faces, "default", "list").out
    assert "has no default" in call(faces, "default", "clear", MODEL).out


def test_default_alone_is_told_until_it_is_over(faces: Faces) -> None:
    two(faces)
    assert call(faces, "default", "alone", MODEL).code != 0
    with faces.client as client:
        known = client.version(MODEL, "1.0.0").manifest.classes[0]
    call(faces, "default", "set", MODEL, str(known))
    told = call(faces, "default", "alone", MODEL, "--minutes", "5", "--reason", "a bad feed")
    assert "to everything until" in told.out
    assert "a bad feed" in call(faces, "default", "list").out
    both = call(faces, "default", "alone", MODEL, "--minutes", "5", "--end")
    assert (both.code, "Leave one of the two out." in both.err) == (2, True)
    ended = call(faces, "default", "alone", MODEL, "--end", "--reason", "the feed is well").out
    assert ended.startswith(f"{MODEL} answers {known!r} where no version can")
    assert "the feed is well" in ended
    assert "where no version can" in call(faces, "default", "list").out
