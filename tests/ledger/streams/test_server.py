import pytest
import redis

from serinus.errors import InvalidInput, Unavailable
from serinus.ledger.streams.server import Script, Server


@pytest.mark.parametrize(
    "address",
    [
        "redis://host/0?timeout=3",
        "redis://host:port/0",
        "redis://host:70000/0",
        "rediss://host/0?decode_responses=1",
    ],
)
def test_server_address_that_cannot_be_used_is_refused(address):
    with pytest.raises(InvalidInput) as caught:
        Server(address, retries=0)
    assert caught.value.where == "ledger_url"
    assert caught.value.remedy


@pytest.mark.parametrize(
    "address",
    ["redis://user:secret@127.0.0.1:1/0", "redis://127.0.0.1:1/0?username=user&password=secret"],
)
def test_server_that_is_not_there_is_named_without_its_password(address):
    server = Server(address, retries=1)
    with pytest.raises(Unavailable) as caught:
        server.ask("PING")
    assert "secret" not in str(caught.value)
    assert caught.value.where == "redis://127.0.0.1:1/0"
    assert "Start the server" in caught.value.remedy


def test_server_refusals_say_what_to_do(machine):
    started = machine()
    url = started.url
    with started.client() as client:
        client.config_set("requirepass", "right")
    for address in (url, url.replace("//", "//:wrong@")):
        with pytest.raises(Unavailable, match="user and the password"):
            Server(address, retries=0).ask("SET", "key", "1")
    server = Server(url.replace("//", "//:right@"), retries=0)
    server.ask("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@read")
    reader = Server(url.replace("//", "//reader:pw@"), retries=0)
    with pytest.raises(Unavailable, match="Let the user"):
        reader.ask("SET", "key", "1")
    with pytest.raises(Unavailable, match="See the log"):
        server.ask("XADD", "key")
    for one in (server, reader):
        one.close()


def test_server_keeps_the_keys_of_a_prefix_apart(redis_url):
    plain = redis_url.partition("?")[0]
    servers = [Server(f"{plain}?prefix={prefix}", retries=0) for prefix in ("{a}:b", "c%20d")]
    keys = [(one.stream("w"), one.lease("w"), one.writers, one.closed) for one in servers]
    assert keys[0] == ("{a}:b:w", "{a}:b:w:lease", "{a}:b:writers", "{a}:b:closed")
    assert keys[1][0] == "c d:w"


def test_server_asked_again_after_its_connection_was_lost(network):
    between, address = network
    server = Server(address, retries=1)
    for fault in ("before", "after"):
        assert server.ask("PING")
        between.fail(fault)
        assert server.ask_all([("PING",), ("ECHO", "x")])[1] == b"x"
    server.close()
    assert server.ask("ECHO", "y") == b"y"
    server.close()


def test_script_is_given_again_to_a_server_that_forgot_it(redis_url):
    server = Server(redis_url, retries=0)
    script = Script("return {KEYS[1], ARGV[1]}")
    assert script.run(server, ["key"], "one") == [[b"key", b"one"]]
    server.ask("SCRIPT", "FLUSH")
    assert script.run(server, ["key"], "two", then=("ECHO", "x")) == [[b"key", b"two"], b"x"]
    with pytest.raises(redis.ResponseError):
        Script("nonsense").run(server, [])
    server.close()
