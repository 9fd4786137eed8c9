"""Debian's Chromium under Playwright: neither is installed with the product.

apt install chromium
pip install playwright==1.65.2
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.factories.api import RunningApi

CHROMIUM = shutil.which("chromium")


@contextmanager
def open_browser() -> Iterator[Any]:
    """A browser without a window. Needs `CHROMIUM` and the package playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def sign_in(page: Any, api: RunningApi) -> None:
    """Sign in with the API's key, as a person would."""
    page.goto(f"{api.url}/console/sign-in")
    page.get_by_label("API key").fill(api.key.plaintext)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console/**")
