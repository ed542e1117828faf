"""The built-in page in headless Chromium, against a real server."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from dllm_rl.training.demo import create_tiny_model

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``dllm-rl serve`` as a process, ended by Ctrl-C."""
    checkpoint = tmp_path_factory.mktemp("page") / "tiny"
    create_tiny_model(checkpoint, seed=3)
    port = 8000 + os.getpid() % 1000
    run = "import sys; from dllm_rl.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", run, "serve", f"model.path={checkpoint}", f"port={port}",
               'prompt.template="{problem}"', "decoding.max_gen_length=64", "decoding.ignore_eos=true",
               "decoding.remasking_strategy=low_confidence_static"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        found, until = f"http://127.0.0.1:{port}", monotonic() + 90
        while monotonic() < until and process.poll() is None:
            try:
                httpx.get(f"{found}/health").raise_for_status()
                break
            except httpx.TransportError:
                sleep(0.2)
        yield found
        process.send_signal(2)
        assert process.wait(30) in (0, 130), process.stderr.read() if process.stderr else ""


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        found = browser.new_page()
        found.asked, found.complaints = [], []
        found.on("request", lambda request: found.asked.append(request.url))
        found.on("console", lambda message: found.complaints.append(message.text) if message.type == "error" else None)
        found.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.goto(address)
        yield found
        # That the server refused a request (400) the browser says by itself.
        assert [own for own in found.complaints if "status of 400" not in own] == []
        assert all(url.startswith(address) for url in found.asked)
        browser.close()


def test_a_question_is_answered_and_unmasked(page: Any, tmp_path: Path) -> None:
    page.wait_for_function("document.getElementById('model').textContent === 'tiny'")
    page.evaluate("""() => {
        window.seen = 0;
        const look = () => { if (document.querySelector('.mask')) window.seen += 1; };
        new MutationObserver(look).observe(document.body, {subtree: true, childList: true});
    }""")
    page.fill("#question", "Hello <b>you</b>")
    page.press("#question", "Enter")
    page.wait_for_selector(".figures", timeout=30_000)
    assert page.evaluate("window.seen") > 10                   # masks were on the screen while blocks were decoded
    assert page.locator(".mask").count() == 0
    assert page.locator("main b").count() == 0                 # text is text
    assert page.locator(".user .text").text_content() == "Hello <b>you</b>"
    assert "per forward" in page.locator(".figures").text_content()
    assert page.locator(".assistant .text").text_content()
    page.screenshot(path=os.environ.get("DLLM_RL_SCREENSHOT", str(tmp_path / "page.png")))


def test_stop_and_new_chat(page: Any) -> None:
    page.click("summary")
    page.fill("#max_tokens", "4000")
    page.fill("#question", "go on")
    page.click("#send")
    page.wait_for_function("document.querySelector('.assistant .text').textContent.length > 20")
    page.click("#stop")
    page.wait_for_selector("text=stopped")
    assert page.is_enabled("#send")
    page.click("#new")
    assert page.locator(".turn").count() == 0
    page.fill("#max_tokens", "5000")
    page.fill("#question", "too much")
    page.click("#send")
    page.wait_for_selector("text=5000 tokens of a response exceed this server's limit of 4096; ask for less")
