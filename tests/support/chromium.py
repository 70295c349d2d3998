"""Debian's Chromium without a screen, through playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

from support.programs import need

PROGRAMS = ("chromium-headless-shell", "chromium")


@contextlib.contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """Give a browser while the block runs, or skip the test."""
    program = need(next(filter(shutil.which, PROGRAMS), PROGRAMS[0]))
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*root, *arguments])
        yield browser
        browser.close()
