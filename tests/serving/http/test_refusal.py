import json

from serinus.serving.http.refusal import Refusal


def test_refusal_is_a_problem_document_with_a_remedy():
    refusal = Refusal(413, "too much", remedy="Send less.", headers=[(b"allow", b"POST")])
    assert json.loads(refusal.body) == {
        "type": "about:blank",
        "title": "Request Entity Too Large",
        "status": 413,
        "detail": "too much",
        "remedy": "Send less.",
    }
    assert (refusal.status, refusal.headers, str(refusal)) == (
        413,
        ((b"allow", b"POST"),),
        "too much",
    )
