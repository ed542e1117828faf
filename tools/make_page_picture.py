"""Write docs/images/serve.png: the page of a running server after some questions, in headless Chromium.

    python tools/make_page_picture.py http://127.0.0.1:8000 "07+35"
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "serve.png"


def write_picture(address: str, questions: Sequence[str], path: Path = PICTURE) -> None:
    """Ask ``questions`` one after the other at the page of the server at ``address``, and photograph it."""
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 760, "height": 480})
        page.goto(address)
        page.wait_for_function("model !== ''")
        page.click("summary")
        for number, question in enumerate(questions):
            page.fill("#question", question)
            page.press("#question", "Enter")
            page.locator(".figures").nth(number).wait_for()
        page.screenshot(path=path)
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="of a running dllm-rl serve without api_key")
    parser.add_argument("questions", nargs="+")
    asked = parser.parse_args()
    write_picture(asked.address, asked.questions)
