from serinus.bench.table import columns


def test_columns_are_aligned():
    text = columns([("name", "n"), ("a", "1,000")])
    assert text.splitlines() == ["name      n", "a     1,000"]
