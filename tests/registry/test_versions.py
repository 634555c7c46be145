from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus import wire
from serinus.errors import InvalidInput
from serinus.registry import versions
from serinus.registry.versions import Change, SemanticVersion

numbers = st.integers(0, 999_999_999)
semantic = st.builds(SemanticVersion, numbers, numbers, numbers)

MANIFEST = wire.Manifest(
    model="m",
    task="classification",
    inputs=(wire.Field("x", "double", required=True), wire.Field("y", "string")),
    target="t",
    classes=(0, 1),
)


@given(semantic)
def test_parse_reads_what_str_writes(version: SemanticVersion) -> None:
    assert versions.parse(str(version)) == version


@given(st.lists(semantic, min_size=1))
def test_order_is_that_of_the_numbers(found: list[SemanticVersion]) -> None:
    ordered = [(v.major, v.minor, v.patch) for v in sorted(found)]

    assert ordered == sorted(ordered)
    assert versions.newest(map(str, found)) == str(max(found))


def test_newest_of_none() -> None:
    assert versions.newest([]) is None


@given(semantic, st.sampled_from(Change))
def test_following_is_higher_and_resets_what_is_below(
    version: SemanticVersion, change: Change
) -> None:
    after = versions.following(version, change)

    assert after > version
    if change is Change.BREAKS_SIGNATURE:
        assert (after.major, after.minor, after.patch) == (version.major + 1, 0, 0)
    elif change is Change.NEW_DATA_OR_ALGORITHM:
        assert (after.major, after.minor, after.patch) == (version.major, version.minor + 1, 0)
    else:
        assert (after.major, after.minor) == (version.major, version.minor)


@given(semantic)
def test_following_a_greater_change_is_higher(version: SemanticVersion) -> None:
    refit, grown, broken = (versions.following(version, change) for change in Change)

    assert refit < grown < broken


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.0", "1.0.0.0", "v1.0.0", "1.0.0-rc1", "01.0.0", "1.0.-1", " 1.0.0", "1.0.0\n"],
)
def test_parse_refuses_what_is_no_version(text: str) -> None:
    with pytest.raises(InvalidInput, match="not a semantic version"):
        versions.parse(text)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"task": "regression"}, "the task was"),
        ({"target": "u"}, "the target was 't'"),
        ({"classes": (0, 1, 2)}, "the classes were [0, 1]"),
        ({"classes": ("0", "1")}, "the classes were"),
        ({"inputs": MANIFEST.inputs[:1]}, "input 'y' is gone"),
        ({"inputs": (*MANIFEST.inputs, wire.Field("z", "double", required=True))}, "'z' is new"),
        ({"inputs": (wire.Field("x", "string"), MANIFEST.inputs[1])}, "'x' was double"),
        (
            {"inputs": (MANIFEST.inputs[0], wire.Field("y", "string", required=True))},
            "'y' has become required",
        ),
    ],
)
def test_breaks_names_what_breaks_callers(changes: dict[str, object], told: str) -> None:
    found = versions.breaks(MANIFEST, msgspec.structs.replace(MANIFEST, **changes))

    assert len(found) == 1
    assert told in found[0]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"classes": (1, 0)},
        {"example": {"x": 1.0}},
        {"inputs": MANIFEST.inputs[::-1]},
        {"inputs": (*MANIFEST.inputs, wire.Field("z", "double"))},
        {"inputs": (wire.Field("x", "double"), MANIFEST.inputs[1])},
    ],
)
def test_breaks_is_empty_where_callers_go_on(changes: dict[str, object]) -> None:
    assert versions.breaks(MANIFEST, msgspec.structs.replace(MANIFEST, **changes)) == ()
