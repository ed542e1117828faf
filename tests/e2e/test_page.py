"""The built-in page in headless Chromium, against a real server."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from dllm_rl.registry import STRATEGIES
from dllm_rl.training.demo import create_tiny_model

httpx = pytest.importorskip("httpx", reason="httpx is not installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
ROOT = Path(__file__).parents[2]
KEY = "sesame"
FIGURES = re.compile(r"64 tokens, \d+\.\d\d per forward, [\d.]+ per second, ended by length")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``dllm-rl serve`` as a process, ended as by Ctrl-C."""
    folder = tmp_path_factory.mktemp("page")
    create_tiny_model(folder / "tiny", seed=3)
    port, log = free_port(), folder / "log"
    command = [sys.executable, "-c", "import sys; from dllm_rl.cli import main; sys.exit(main())", "serve",
               f"model.path={folder / 'tiny'}", f"port={port}", f"api_key={KEY}", 'prompt.template="{problem}"',
               "decoding.max_gen_length=64", "decoding.ignore_eos=true",
               "decoding.remasking_strategy=low_confidence_static"]
    with log.open("w") as written, subprocess.Popen(
            command, stderr=written, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}) as process:
        found, until, answers = f"http://127.0.0.1:{port}", monotonic() + 90, False
        while not answers and monotonic() < until and process.poll() is None:
            try:
                answers = httpx.get(f"{found}/health").is_success
            except httpx.TransportError:
                sleep(0.2)
        try:
            assert answers, log.read_text()
            yield found
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
    assert code in (0, 130), log.read_text()


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    """The page with the API key entered; ``asked`` and ``complaints`` hold what the browser asks for and complains of."""
    with sync_api.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        found = browser.new_page()
        found.asked, found.complaints = [], []
        found.on("request", lambda request: found.asked.append(request.url))
        found.on("console", lambda message: found.complaints.append(message.text) if message.type == "error" else None)
        found.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.goto(address)
        found.wait_for_selector("text=the API key is missing or wrong")
        found.complaints.clear()        # the browser itself reports the status 401
        found.fill("#key", KEY)
        found.press("#key", "Tab")
        found.wait_for_function("document.getElementById('model').textContent === 'tiny'")
        yield found
        browser.close()
        assert found.complaints == []
        assert found.asked and all(url.startswith(address) for url in found.asked)


def ask(page: Any, text: str) -> None:
    page.fill("#question", text)
    page.press("#question", "Enter")


def test_a_question_is_answered_and_unmasked(page: Any) -> None:
    page.evaluate("""() => { window.masks = new Set(); new MutationObserver(() => {
        window.masks.add(document.querySelectorAll('.assistant .mask').length);
    }).observe(document.body, {subtree: true, childList: true}); }""")
    ask(page, "Hello <b>you</b>")
    page.wait_for_selector(".figures", timeout=30_000)
    assert page.evaluate("[...window.masks].sort()") == [0, 1, 2, 3]    # blocks of 4, one token a forward
    assert page.locator(".user .text").text_content() == "Hello <b>you</b>"
    assert page.locator("main b").count() == 0
    assert FIGURES.fullmatch(page.locator(".figures").text_content())
    parts = page.locator(".assistant .text span[title]")
    assert "".join(parts.all_text_contents()) == page.locator(".assistant .text").text_content()
    assert {part.get_attribute("title") for part in parts.all()} == {f"forward {n} of its block" for n in range(1, 5)}
    assert len({part.get_attribute("style") for part in parts.all()}) == 4      # a colour per forward


def test_what_a_model_says_is_text(page: Any) -> None:
    markup = "<b>bold</b><img src=x onerror=window.broken=1>"
    unmask = {"event": "unmask", "start": 0, "tokens": [markup, None]}
    page.evaluate("""([unmask, text]) => { const shown = new Shown(turn('assistant', '').said);
        shown.unmask(unmask.start, unmask.tokens); shown.commit(text); shown.unmask(2, unmask.tokens); }""",
                  [unmask, markup + "!"])
    assert page.locator(".assistant .text").text_content() == f"{markup}!{markup}▒"
    assert page.locator("main b, main img").count() == 0 and page.evaluate("window.broken") is None


def test_parts_of_a_block_keep_the_forward_that_revealed_them(page: Any) -> None:
    block = [None, {"text": "b", "forward": 1}, None, {"text": "<end>", "forward": 2}]
    assert page.evaluate("block => placed('abc', block, 3)", block) == [
        {"text": "a", "forward": 3}, {"text": "b", "forward": 1}, {"text": "c", "forward": 3}]


def test_a_conversation_can_be_stopped_and_begun_anew(page: Any, address: str) -> None:
    page.fill("#max_tokens", "1000")
    ask(page, "go on")
    page.wait_for_function("document.querySelector('.assistant .text').textContent.length > 20")
    page.click("#stop")
    page.wait_for_selector("text=stopped")
    assert page.is_enabled("#send") and page.is_disabled("#stop") and page.locator(".assistant .mask").count() == 0
    assert page.evaluate("messages.map(said => said.role)") == ["user", "assistant"]
    until = monotonic() + 20
    while running(address) and monotonic() < until:
        sleep(0.1)
    assert running(address) == 0        # the slot is free again
    page.click("#new")
    assert page.locator(".turn").count() == 0 and page.evaluate("messages") == []


def running(address: str) -> int:
    """Sequences that the server decodes."""
    text = httpx.get(f"{address}/metrics", headers={"Authorization": f"Bearer {KEY}"}).text
    return int(re.search(r"^dllm_running (\d+)$", text, re.MULTILINE)[1])


def test_a_new_chat_ends_the_answer_that_runs_and_forgets_it(page: Any) -> None:
    page.fill("#max_tokens", "1000")
    ask(page, "go on")
    page.wait_for_function("document.querySelector('.assistant .text').textContent.length > 20")
    with page.expect_event("requestfailed"):       # the browser drops the connection, and the server the answer
        page.click("#new")
    page.wait_for_selector("#send:enabled")
    assert page.locator(".turn").count() == 0 and page.evaluate("messages") == []


@pytest.mark.parametrize(("field", "value", "said"), [
    ("#max_tokens", "5000", "5000 tokens of a response exceed this server's limit of 4096; ask for less"),
    ("#key", "wrong",
     "the API key is missing or wrong; send the header Authorization: Bearer KEY; here it goes under Settings"),
])
def test_errors_are_told_in_the_servers_words(page: Any, field: str, value: str, said: str) -> None:
    page.fill(field, value)
    ask(page, "too much")
    page.wait_for_selector(".error")
    assert page.locator(".error").text_content() == said
    page.complaints.clear()        # the browser itself reports the status


def test_settings_are_sent(page: Any) -> None:
    page.select_option("#remasking_strategy", "low_confidence_dynamic")
    for field, value in (("temperature", "0.5"), ("max_tokens", "7"), ("seed", "11"), ("dynamic_threshold", "0.8")):
        page.fill(f"#{field}", value)
    with page.expect_request("**/v1/chat/completions") as sent:
        ask(page, "hello")
    page.wait_for_selector(".figures")
    assert sent.value.headers["authorization"] == f"Bearer {KEY}"
    assert sent.value.post_data_json == {
        "model": "tiny", "messages": [{"role": "user", "content": "hello"}], "stream": True, "temperature": 0.5,
        "max_tokens": 7, "seed": 11, "stream_options": {"include_usage": True}, "dllm": {
            "decoding": {"remasking_strategy": "low_confidence_dynamic", "dynamic_threshold": 0.8},
            "events": True, "step_map": True}}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_narrow_screen(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 320, "height": 568})
    ask(page, "w" * 200)
    page.wait_for_selector(".figures", timeout=30_000)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")


def test_strategies_on_offer_exist() -> None:
    offered = re.findall(r"<option>(\w+)</option>", files("dllm_rl.serving").joinpath("page.html").read_text("utf-8"))
    assert offered and set(offered) <= set(STRATEGIES)
