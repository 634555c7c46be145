from serinus.ledger.files import segments


def test_segments_of_a_missing_folder(tmp_path):
    missing = tmp_path / "none"
    assert segments.writers(missing) == []
    assert segments.numbers(missing, "00000000") == []
    assert segments.size(missing, "00000000", 0) is None
    assert not segments.is_closed(missing, "00000000")
    assert segments.changed_ns(missing, "00000000") == 0


def test_segments_ignore_what_is_not_theirs(tmp_path):
    own = tmp_path / "0123abcd"
    own.mkdir()
    for name in ("00000002.log", "00000000.log", "00000010.log", "x.log", "lock", "closed"):
        (own / name).touch()
    (tmp_path / "NOTMINE1").mkdir()
    (tmp_path / ".89abcdef").mkdir()
    assert segments.writers(tmp_path) == ["0123abcd"]
    assert segments.numbers(tmp_path, "0123abcd") == [0, 2, 10]
    assert segments.is_closed(tmp_path, "0123abcd")
