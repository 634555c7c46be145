"""Pages over real services; the live one also in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from sqlalchemy import insert
from tests.api.running import MODEL, Faces

from serinus import clock
from serinus.registry.types import GateResult, Stage
from serinus.stats import bins
from serinus.store import schema
from serinus.wire import WorkerStatus

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1280,1800",
    # Nothing but the test's own server can be reached.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

# Streams that are asked for once more, and then the page is left: what has the page listened to
# for it, and in which state are its streams?
FOLLOWED_AGAIN = """
const listened = [];
const listen = window.addEventListener.bind(window);
window.addEventListener = (name, ...rest) => { listened.push(name); listen(name, ...rest); };
const opened = [];
const Source = window.EventSource;
window.EventSource = function (url) { opened.push(new Source(url)); return opened.at(-1); };
for (let number = 0; number < 3; number++) follow("/deployments/events");
window.dispatchEvent(new PageTransitionEvent("pagehide"));
return [listened, opened.map((events) => events.readyState)];
"""
CLOSED = 2


@pytest.fixture
def canary(faces: Faces) -> tuple[Faces, str]:
    """A canary in its first live step, and its page's address."""
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    with faces.client as client:
        begun = client.deploy(MODEL, "1.1.0", shadow=False, shares=[0.5], min_requests=10)
    faces.report("1.0.0", "1.1.0")
    return faces, f"{faces.url}/dashboard/deployments/{begun.id}"


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    """A real browser that reaches nothing but this machine."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("no Chromium here: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    yield started
    started.quit()


def text(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "main").text


def test_deployment_page_is_live_in_a_browser(
    canary: tuple[Faces, str], browser: webdriver.Chrome
) -> None:
    faces, address = canary
    wait = WebDriverWait(browser, 20)
    browser.get(address)
    assert "fraud 1.0.0 → 1.1.0" in text(browser)
    assert "The curves appear with the first requests" in text(browser)

    faces.traffic(150, 150)
    wait.until(lambda _: "failed over 150 requests" in text(browser))
    wait.until(
        lambda _: browser.find_elements(By.CSS_SELECTOR, ".figure .js-plotly-plot, .figure svg")
    )
    assert browser.find_elements(By.CSS_SELECTOR, ".figure .scatterlayer .trace")
    here = browser.find_element(By.CSS_SELECTOR, "[aria-current=step]")
    assert here.text.startswith("50 %")

    faces.traffic(100, 100, failures=60)
    wait.until(lambda _: "rolled back" in text(browser))
    assert "verdict: rollback" in text(browser)
    wait.until(lambda _: "harm" in browser.find_element(By.CSS_SELECTOR, ".rail .mark").text)

    assert browser.get_log("browser") == []


def test_buttons_intervene_with_a_reason_in_a_browser(
    canary: tuple[Faces, str], browser: webdriver.Chrome
) -> None:
    faces, address = canary
    wait = WebDriverWait(browser, 20)
    browser.get(address)

    def offered() -> list[str]:
        return [
            item.text for item in browser.find_elements(By.CSS_SELECTOR, ".ask button") if item.text
        ]

    def press(verb: str, reason: str) -> None:
        field = browser.find_element(By.ID, "reason")
        field.clear()
        field.send_keys(reason)
        browser.find_element(By.CSS_SELECTOR, f"button[value={verb}]").click()

    assert offered() == ["Pause", "Promote", "Abort"]
    press("pause", "lunch")
    wait.until(lambda _: offered() == ["Resume", "Promote", "Abort"])
    wait.until(lambda _: "lunch" in text(browser))
    assert "Ahead: It waits for a person to resume it" in text(browser)
    press("resume", "back again")
    wait.until(lambda _: offered() == ["Pause", "Promote", "Abort"])
    press("abort", "enough for today")
    wait.until(lambda _: offered() == ["Retry"])
    wait.until(lambda _: "Done: it is aborted." in text(browser))
    press("retry", "one more")
    wait.until(lambda _: offered() == ["Promote", "Abort"])
    wait.until(lambda _: "Begun again 1 time" in text(browser))
    faces.report("1.0.0", "1.1.0")
    wait.until(lambda _: offered() == ["Pause", "Promote", "Abort"])
    moves = faces.app.delivery.history(address.rpartition("/")[2])
    assert [move.actor for move in moves if move.reason == "lunch"] == ["dashboard"]
    assert browser.execute_script(FOLLOWED_AGAIN) == [[], [CLOSED] * 3]
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_without_errors_in_a_browser(
    canary: tuple[Faces, str], browser: webdriver.Chrome, scheme: str
) -> None:
    faces, address = canary
    faces.traffic(50, 50)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    for page in (
        f"{faces.url}/",
        f"{faces.url}/dashboard/models/{MODEL}",
        f"{faces.url}/docs",
        address,
    ):
        browser.get(page)
        assert browser.find_element(By.TAG_NAME, "h1").text
        width = browser.execute_script("return document.documentElement.scrollWidth")
        assert width <= 1280, f"{page} is wider than the window"
    assert browser.get_log("browser") == []


def test_circuits_and_rollbacks_are_on_the_page(canary: tuple[Faces, str]) -> None:
    faces, address = canary
    status = WorkerStatus(clock.epoch_us(), "w1", 1, (), {}, {f"{MODEL}@1.1.0": "open"})
    faces.writer.append([status])
    faces.app.controller.run_once()

    page = httpx.get(address).text

    assert f"for {MODEL}@1.1.0" in page
    assert "the champion answers in its place" in page


def test_overview_of_nothing_says_what_to_do(faces: Faces) -> None:
    page = httpx.get(f"{faces.url}/").text

    for command in ("serinus train", "serinus demo", "serinus deploy", "serinus gateway"):
        assert command in page


def test_overview_shows_what_there_is(canary: tuple[Faces, str]) -> None:
    faces, _ = canary
    with faces.client as client:
        client.train("iris", MODEL)

    page = httpx.get(f"{faces.url}/").text

    assert "1.0.0 → 1.1.0" in page
    assert "no action needed" in page
    assert "queued" in page
    assert f"{MODEL}@1.1.0" in page


def test_model_page_shows_gates_and_stages(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0", gates=(GateResult("threshold accuracy", False, "0.5 against 0.7"),))

    page = httpx.get(f"{faces.url}/dashboard/models/{MODEL}").text

    assert "1 failed" in page
    assert "0.5 against 0.7" in page
    assert "Staging → Production" in page


def test_first_version_says_why_it_has_no_guardrails(faces: Faces) -> None:
    faces.register("1.0.0")
    with faces.client as client:
        begun = client.deploy(MODEL, "1.0.0")

    page = httpx.get(f"{faces.url}/dashboard/deployments/{begun.id}").text

    assert "no champion to compare it with" in page


def test_deployment_page_says_that_labels_wait_for_an_earlier_one(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    with faces.client as client:
        begun = client.deploy(MODEL, "1.1.0", label_window_seconds=3600.0)
    page = f"{faces.url}/dashboard/deployments/{begun.id}"
    assert "for an earlier request" not in httpx.get(page).text
    noon = clock.to_epoch_us(datetime(2026, 1, 31, 12, tzinfo=UTC))
    rows = [
        {"prediction": bytes([number] * 16), "deployment": begun.id, "kind": "label",
         "predicted_at": noon + number, "facts": b"facts", "outcome": b"told" if number else None}
        for number in range(3)
    ]  # fmt: skip
    with faces.app.engine.begin() as connection:
        connection.execute(insert(schema.awaiting), rows)

    assert (
        "2 labels wait for an earlier request that has none yet, at most until "
        "2026-01-31 13:00:00 UTC (label_window_seconds)"
    ) in httpx.get(page).text


def test_deployment_page_draws_the_scores_only_where_they_are_watched(faces: Faces) -> None:
    scores = np.random.default_rng(1).random(500)
    reference = bins.reference_profile({"amount": scores.tolist()}, scores)
    faces.register("1.0.0", stage=Stage.PRODUCTION, reference=reference)
    faces.register("1.1.0")
    figures = {}
    for shift in (None, 0.1):
        with faces.client as client:
            fields = {} if shift is None else {"score_shift": shift}
            begun = client.deploy(MODEL, "1.1.0", shadow=False, shares=[0.5], **fields)
        faces.report("1.0.0", "1.1.0")
        faces.traffic(40, 50)
        page = f"{faces.url}/dashboard/deployments/{begun.id}"
        drawn = httpx.get(f"{page}/scores.json").json()
        figures[shift] = ("scores.json" in httpx.get(page).text, drawn["data"])
        with faces.client as client:
            client.abort(begun.id, reason="the next one")
    assert figures[None] == (False, [])
    shown, data = figures[0.1]
    assert shown
    curves = {item["name"]: item["y"] for item in data if item.get("name")}
    assert list(curves) == ["champion, 40 answers", "challenger, 50 answers"]
    # All answers of that traffic score 0.1: below the second decile at the latest.
    assert all(curve[-1] == 1.0 for curve in curves.values())


def test_unknown_thing_is_a_page_that_leads_back(faces: Faces) -> None:
    answer = httpx.get(f"{faces.url}/dashboard/deployments/nobody")

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert 'href="/"' in answer.text


def test_pages_fetch_nothing_from_elsewhere(canary: tuple[Faces, str]) -> None:
    faces, address = canary
    for page in (
        f"{faces.url}/",
        f"{faces.url}/dashboard/models/{MODEL}",
        f"{faces.url}/docs",
        address,
    ):
        answer = httpx.get(page)
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        assert not re.search(r"(src|href)=\"(https?:)?//", answer.text)


def test_every_asset_of_a_page_is_there(canary: tuple[Faces, str]) -> None:
    faces, address = canary

    found = set(
        re.findall(r'(?:src|href|data-fragment|data-figure)="(/[^"]+)"', httpx.get(address).text)
    )

    assert "/dashboard/assets/plotly.min.js" in found
    for path in found:
        assert httpx.get(faces.url + path).status_code == 200, path


@pytest.mark.parametrize("name", ["nothing.css", "..%2Fpages.py", "pages.py", "%2Fetc%2Fpasswd"])
def test_asset_is_only_what_is_meant_to_be_one(faces: Faces, name: str) -> None:
    assert httpx.get(f"{faces.url}/dashboard/assets/{name}").status_code == 404


def test_plotly_is_the_one_that_is_installed(faces: Faces) -> None:
    import plotly

    installed = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"

    assert (
        httpx.get(f"{faces.url}/dashboard/assets/plotly.min.js").content == installed.read_bytes()
    )


def test_dashboard_is_found_where_one_looks_for_it(faces: Faces) -> None:
    for path in ("/dashboard", "/dashboard/"):
        page = httpx.get(faces.url + path, follow_redirects=True)
        assert (page.status_code, page.url.path) == (200, "/")
    lost = httpx.get(f"{faces.url}/ui")
    assert lost.json()["remedy"] == "The dashboard is at /, and every call at /docs."
