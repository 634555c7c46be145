import sys
import types

import pytest
from tests.serving.conftest import route

from serinus.errors import InvalidInput, Unavailable
from serinus.serving.http.hooks import Hooks
from serinus.serving.protocols.answers import Predicted
from serinus.wire import Arm

ANSWER = Predicted(1, "id", "numbers", "1.0.0", Arm.CHAMPION, 3)


@pytest.fixture
def module(monkeypatch):
    made = types.ModuleType("hooks_of_a_test")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


def test_hooks_change_features_and_answers(module):
    module.before = lambda model, features: {**features, "x": features["y"] * 2, "of": model}
    module.after = lambda model, answer: {**answer, "by": model}
    hooks = Hooks(module.__name__)
    assert hooks.before("m", b'{"features":{"y":2},"entity":"e"}') == (
        b'{"features":{"y":2,"x":4,"of":"m"},"entity":"e"}'
    )
    many = hooks.before("m", b'{"requests":[{"features":{"y":1}},7]}', "requests")
    assert many == b'{"requests":[{"features":{"y":1,"x":2,"of":"m"}},7]}'
    assert hooks.after("m", ANSWER)["by"] == "m"


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"features":3}', b'{"features":null}'])
def test_hooks_leave_what_is_no_request_to_the_decoder(module, body):
    module.before = lambda model, features: {}
    assert Hooks(module.__name__).before("m", body) == body


def test_hooks_that_raise_say_so(module):
    def refuse(model, given):
        raise ValueError("no such customer")

    def fail(model, given):
        raise RuntimeError("broken")

    module.before, module.after = refuse, fail
    hooks = Hooks(module.__name__)
    with pytest.raises(InvalidInput, match="no such customer"):
        hooks.before("m", b'{"features":{}}')
    with pytest.raises(Unavailable, match="RuntimeError"):
        hooks.after("m", ANSWER)
    module.after = lambda model, answer: [answer]
    with pytest.raises(Unavailable, match="no dictionary"):
        Hooks(module.__name__).after("m", ANSWER)


def test_hooks_that_are_none_are_refused(module):
    with pytest.raises(InvalidInput, match="neither"):
        Hooks(module.__name__)
    with pytest.raises(InvalidInput, match="cannot be imported"):
        Hooks("no.such.module")


def test_hooks_of_a_gateway_see_each_row(gateway, folders, tmp_path, monkeypatch):
    (tmp_path / "desk_hooks.py").write_text(
        "def before(model, features):\n"
        "    if features.get('x0', 0) < 0:\n"
        "        raise ValueError('x0 is negative')\n"
        "    return {'x0': 0.0, 'x1': 0.0, 'x2': 0.0, 'x3': 0.0, **features}\n"
        "def after(model, answer):\n"
        "    return {**answer, 'desk': model}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    running = gateway(hooks="desk_hooks")
    running.publish(1, route(folders, "numbers"))
    with running:
        answer = running.post("/predict", {"features": {"x0": 1.0}})
        assert (answer.status_code, answer.json()["desk"]) == (200, "numbers")
        assert running.post("/predict", {"features": {"x0": -1.0}}).status_code == 422
        body = {"requests": [{"features": {}}, {"features": {"x9": 1}}]}
        good, bad = running.post("/models/numbers/predict/batch", body).json()["predictions"]
        assert good["desk"] == "numbers"
        assert bad["error"]["status"] == 422
