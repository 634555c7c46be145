import msgspec
import pytest

from serinus.errors import InvalidInput
from serinus.serving.loading import table
from serinus.serving.loading.table import RoutingFile
from serinus.wire import Route, RoutingTable, Target, Variant


def test_routing_file_is_read_only_when_it_has_changed(tmp_path):
    file = RoutingFile(tmp_path / "routing.json")
    assert file.read() is None
    assert not file.has_changed()
    for revision in (1, 2):
        part = tmp_path / "part"
        part.write_bytes(msgspec.json.encode(RoutingTable(revision, {})))
        part.replace(tmp_path / "routing.json")
        assert file.has_changed()
        assert file.read() == RoutingTable(revision, {})
        assert not file.has_changed()


@pytest.mark.parametrize("content", [b"", b"{", b'{"revision":"x"}', b"\xff"])
def test_routing_file_of_nonsense_is_refused(tmp_path, content):
    (tmp_path / "routing.json").write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        RoutingFile(tmp_path / "routing.json").read()
    assert "routing.json" in caught.value.where


def test_versions_of_a_table_are_all_that_its_routes_name():
    alone = Route("a", Target("1", "-"), warm=(Target("0", "-"),))
    others = (Variant(Target("3", "-"), 0.5, 0.1),)
    several = Route("b", Target("1", "-"), Target("2", "-"), others=others)
    idle = Route("c", Target("1", "-"))
    given = RoutingTable(1, {route.model: route for route in (alone, several, idle)})
    told = {"a@1", "a@0", "b@1", "b@2", "b@3"}
    assert {table.label(key) for key in table.versions(given)} == told | {"c@1"}
    # Whoever has nobody beside it may be unloaded.
    assert {table.label(key) for key in table.kept_warm(given)} == told
