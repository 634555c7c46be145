import asyncio
import threading

from serinus.serving.threads import Hand


def test_hand_runs_in_order_in_one_daemon_thread():
    async def scenario():
        hand = Hand(asyncio.get_running_loop(), "test")
        seen = await asyncio.gather(*[hand.call(threading.current_thread) for _ in range(5)])
        hand.close()
        return seen

    seen = asyncio.run(scenario())
    assert len(set(seen)) == 1
    assert seen[0] is not threading.main_thread()
    assert seen[0].daemon
    seen[0].join(5)
    assert not seen[0].is_alive()


def test_hand_hands_errors_over():
    async def scenario():
        hand = Hand(asyncio.get_running_loop(), "test")
        results = await asyncio.gather(
            hand.call(lambda: 1 // 0), hand.call(lambda: 2), return_exceptions=True
        )
        hand.close()
        return results

    failed, fine = asyncio.run(scenario())
    assert isinstance(failed, ZeroDivisionError)
    assert fine == 2


def test_hand_survives_a_function_that_exits():
    async def scenario():
        hand = Hand(asyncio.get_running_loop(), "test")
        results = await asyncio.gather(
            hand.call(lambda: exec("raise SystemExit(3)")), hand.call(lambda: 2),
            return_exceptions=True,
        )  # fmt: skip
        hand.close()
        return results

    failed, fine = asyncio.run(scenario())
    assert str(failed) == "SystemExit: 3"
    assert fine == 2


def test_hand_outlives_a_closed_loop():
    loop = asyncio.new_event_loop()
    hand = Hand(loop, "test")
    release, finished = threading.Event(), threading.Event()

    def wait():
        release.wait(5)
        finished.set()

    hand.run(wait, lambda *_: None)
    loop.close()
    release.set()
    assert finished.wait(5)
