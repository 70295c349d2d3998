"""Sphinx: the documentation, with warnings as errors (make docs)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Restante"
author = "the Restante contributors"
copyright = "2026, the Restante contributors"  # noqa: A001  # the name is Sphinx's
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
autodoc_default_options = {"members": True}
napoleon_use_ivar = True
python_use_unqualified_type_names = True
default_role = "code"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "Restante"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
smartquotes = False  # what readers copy is what they type: --host


def setup(app: Sphinx) -> None:
    """Let Sphinx show the examples of modules as code."""
    app.connect("autodoc-process-docstring", lambda *event: mark_examples(event[1], event[-1]))


def mark_examples(kind: str, lines: list[str]) -> None:
    """Put "::" before each indented block of a module's docstring; else it is a quotation."""
    if kind != "module":
        return
    for number in range(len(lines) - 1, 0, -1):
        if lines[number].startswith("    ") and not lines[number - 1]:
            before = [line for line in lines[:number] if line]
            if not before[-1].startswith(" "):
                lines[number:number] = ["::", ""]
