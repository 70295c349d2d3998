"""The browser of the tests of the page. Names of other sites lead to this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from restante.server.config.addresses import ListenAddress
from restante.web.listener import open_port, serving
from restante.web.security import Guard
from support.chromium import chromium
from support.outside import other_site
from support.page_client import ADDRESSES, quiet_server
from support.page_world import World


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium("--host-resolver-rules=MAP *.example 127.0.0.1") as started:
        yield started


@pytest.fixture
def world(browser: Browser) -> Iterator[World]:
    server, opened = quiet_server(), open_port(ListenAddress("127.0.0.1", 0))
    url = f"http://127.0.0.1:{opened.getsockname()[1]}"
    with other_site() as outside, serving(server, ADDRESSES, Guard(), opened):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        page.set_default_timeout(60_000)
        yield World(server, outside, url, page, context)
        context.close()
