import os

from serinus.serving.telling import board
from serinus.serving.telling.board import Board
from serinus.serving.telling.counters import Counts, Tally, total


def counts(labels):
    return Counts(tallies=[Tally("m", "1", "champion", success=labels)], labels=labels)


def test_board_shows_each_worker_the_others():
    shared = Board(2)
    shared.write(0, counts(1))
    shared.write(0, counts(2))
    shared.write(1, counts(5))
    assert [found.labels for found in shared.others(0)] == [5]
    assert [found.labels for found in shared.others(1)] == [2]


def test_board_keeps_what_workers_counted_that_are_gone():
    shared = Board(2)
    for labels in (3, 4):
        shared.write(0, counts(labels))
        shared.retire(0)
    assert total(shared.others(1)).labels == 7
    shared.write(0, counts(1))
    assert total(shared.others(1)).labels == 8


def test_board_page_that_was_half_written_leaves_the_one_before():
    shared = Board(1)
    shared.write(0, counts(1))
    shared.write(0, counts(2))
    newest = shared._page(0, 2)
    shared._memory[newest + 20] ^= 0xFF
    assert [found.labels for found in shared.others(1)] == [1]


def test_board_counts_that_are_too_many_leave_those_before(monkeypatch):
    shared = Board(1)
    shared.write(0, counts(1))
    monkeypatch.setattr(board, "PAGE_BYTES", 64)
    shared.write(0, counts(2))
    monkeypatch.undo()
    assert [found.labels for found in shared.others(1)] == [1]


def test_board_is_shared_with_forked_processes():
    shared = Board(2)
    pid = os.fork()
    if pid == 0:
        shared.write(1, counts(9))
        os._exit(0)
    os.waitpid(pid, 0)
    assert [found.labels for found in shared.others(0)] == [9]


def test_board_knows_who_has_the_fewest_connections():
    shared = board.Board(3)
    shared.seat(0, 0)
    assert shared.has_fewest(0)
    shared.seat(1, 0)
    shared.seat(0, 1)
    assert not shared.has_fewest(0)
    assert shared.has_fewest(1)
    shared.retire(1)
    assert shared.has_fewest(0)


def test_board_knows_who_is_alone():
    shared = board.Board(2)
    shared.seat(0, 3)
    assert shared.is_alone(0)
    assert not shared.is_alone(1)
    shared.retire(0)
    assert shared.is_alone(1)
