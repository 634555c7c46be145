from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from serinus.stress.changes import SWAPS, changes, first
from serinus.wire import Target


@given(st.integers(1, 60), st.data())
def test_changes_swap_as_often_as_asked_and_only_the_champion_goes_back(
    swaps: int, data: st.DataObject
) -> None:
    rollbacks = data.draw(st.integers(0, swaps))
    targets = [Target(f"1.{number}.0", f"/{number}") for number in range(swaps + 1)]
    kinds: Counter[str] = Counter()
    champions = [first(targets).champion]
    known = {targets[0]}
    for change in changes(targets, rollbacks):
        kinds[change.kind] += 1
        champion, challenger = change.route.champion, change.route.challenger
        if change.kind == "cold":
            assert champion not in known
        elif change.kind == "announced":
            assert champion == champions[-1]
            assert challenger not in known
        elif change.kind == "promoted":
            assert champion in known
            assert challenger == champions[-1]
        else:
            assert champion == champions[-2]
        known |= {champion} | ({challenger} if challenger else set())
        if champion != champions[-1]:
            champions.append(champion)
    assert sum(kinds[kind] for kind in SWAPS) == swaps
    assert kinds["rollback"] == rollbacks
    assert len(champions) == 1 + swaps + rollbacks
