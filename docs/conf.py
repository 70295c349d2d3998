"""Sphinx: the documentation, with warnings as errors (make docs)."""

from restante import __version__

project = "Restante"
author = "the Restante contributors"
copyright = "2026, the Restante contributors"  # noqa: A001  # the name is Sphinx's
release = version = __version__

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "Restante"
