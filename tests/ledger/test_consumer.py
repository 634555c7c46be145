from serinus.ledger.consumer import load_offsets, save_offsets
from serinus.ledger.types import Offset


def test_consumer_offsets_round_trip(engine):
    with engine.begin() as connection:
        assert load_offsets(connection, "delivery") == {}
        save_offsets(connection, "delivery", {"aaaaaaaa": Offset(0, 10), "bbbbbbbb": Offset(2, 3)})
        save_offsets(connection, "monitoring", {"aaaaaaaa": Offset(9, 9)})
    with engine.begin() as connection:
        save_offsets(connection, "delivery", {"aaaaaaaa": Offset(1, 0)})
    with engine.begin() as connection:
        assert load_offsets(connection, "delivery") == {
            "aaaaaaaa": Offset(1, 0),
            "bbbbbbbb": Offset(2, 3),
        }
        assert load_offsets(connection, "monitoring") == {"aaaaaaaa": Offset(9, 9)}


def test_consumer_offsets_fall_with_their_transaction(engine):
    with engine.connect() as connection, connection.begin() as transaction:
        save_offsets(connection, "delivery", {"aaaaaaaa": Offset(0, 10)})
        transaction.rollback()
    with engine.begin() as connection:
        assert load_offsets(connection, "delivery") == {}
