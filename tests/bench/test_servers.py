import asyncio

import httpx

from serinus.bench import artifact, launch, recipes, servers, usage


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


def test_gateway_has_so_many_workers_and_answers_as_the_recipe(home):
    expected = recipes.fit("logistic").predict(recipes.asked()[:8]).tolist()
    with servers.start((launch.cores().server,), home, 2) as gateway:
        assert len(usage.children(gateway.pid)) == 2
        url = f"http://127.0.0.1:{gateway.port}/models/{artifact.alone_names(1)[0]}/predict"
        headers = {"content-type": "application/json"}
        answers = [
            httpx.post(url, content=body, headers=headers).json() for body in artifact.bodies()[:8]
        ]
    assert [answer["prediction"] for answer in answers] == expected
