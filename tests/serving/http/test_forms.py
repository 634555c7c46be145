from __future__ import annotations

import json

import pytest

from serinus.errors import InvalidInput, Overloaded, Unavailable
from serinus.serving.http import forms
from serinus.serving.http.exchange import Exchange
from serinus.serving.http.refusal import Refusal

WRONG = InvalidInput("it is wrong", where="age", remedy="Send another.", faults=["one", "two"])


def told(path, error):
    exchange = Exchange(b"POST", path, b"", [], b"", lambda _head, _body: None)
    status, body, kind, headers = forms.refused(exchange.path, error)
    return status, json.loads(body), kind, dict(headers)


def test_refused_in_the_form_of_each_protocol():
    status, body, kind, _ = told(b"/predict", WRONG)
    assert (status, kind) == (422, b"application/problem+json")
    assert (body["detail"], body["where"], body["remedy"]) == ("it is wrong", "age", WRONG.remedy)
    line = "age: it is wrong. - one. - two. Send another."
    assert told(b"/v2/models/m/infer", WRONG) == (400, {"error": line}, b"application/json", {})
    wanted = {"error_code": "BAD_REQUEST", "message": line}
    for path in (b"/invocations", b"/models/m/invocations"):
        assert told(path, WRONG) == (400, wanted, b"application/json", {})


@pytest.mark.parametrize("path", [b"/predict", b"/v2", b"/v2/models/m/infer", b"/invocations"])
def test_refused_for_a_while_says_when_to_try_again(path):
    assert told(path, Overloaded("too much", retry_after=7))[::3] == (429, {b"retry-after": b"7"})
    assert told(path, Unavailable("not now"))[::3] == (503, {b"retry-after": b"1"})


@pytest.mark.parametrize("path", [b"/predict", b"/v2/health/live", b"/invocations"])
def test_refused_by_http_itself_keeps_its_headers(path):
    refusal = Refusal(405, "not so", remedy="Send GET", headers=[(b"allow", b"GET")])
    status, body, _, headers = told(path, refusal)
    assert (status, headers) == (405, {b"allow": b"GET"})
    assert "Send GET" in json.dumps(body)


@pytest.mark.parametrize("path", [b"/predict", b"/v2/models/m/infer", b"/invocations"])
def test_refused_by_a_fault_of_our_own_tells_the_log_alone(path, caplog):
    status, body, _, _ = told(path, ZeroDivisionError("secret"))
    assert status == 500
    assert "secret" not in json.dumps(body)
    assert "ZeroDivisionError" in caplog.text


def test_paths_that_only_look_alike_are_native():
    assert told(b"/v2x", WRONG)[0] == 422
    assert told(b"/invocations/more", WRONG)[0] == 422
