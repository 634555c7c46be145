import asyncio

from serinus.bench import servers


def test_bare_answers_a_constant_once_the_body_is_read():
    parts = [{"body": b"a", "more_body": True}, {"body": b"b"}]
    sent = []

    async def receive():
        return parts.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(servers.bare({}, receive, send))
    assert parts == []
    assert sent[0]["status"] == 200
    assert len(sent[1]["body"]) == servers.ANSWER_BYTES
