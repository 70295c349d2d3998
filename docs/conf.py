"""Sphinx: the documentation, with warnings as errors (make docs)."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

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
    """Let Sphinx show what programs need to know of modules, classes and functions."""
    app.connect("autodoc-process-docstring", lambda *event: mark_examples(event[1], event[-1]))
    app.connect("autodoc-skip-member", lambda *event: is_noise(event[2], event[3]) or None)
    app.connect("autodoc-process-signature", lambda *event: name_context(event[3], *event[5:]))


def mark_examples(kind: str, lines: list[str]) -> None:
    """Put "::" before each indented block of a module's docstring; else it is a quotation."""
    if kind != "module":
        return
    for number in range(len(lines) - 1, 0, -1):
        if lines[number].startswith("    ") and not lines[number - 1]:
            before = [line for line in lines[:number] if line]
            if not before[-1].startswith(" "):
                lines[number:number] = ["::", ""]


def is_noise(name: str, member: object) -> bool:
    """Return whether a member is only how Python makes protocols and tuples with names."""
    if name == "__init__":
        return [*inspect.signature(member).parameters][1:] == ["args", "kwargs"]  # type: ignore[arg-type]
    return name == "__new__" or (inspect.getdoc(member) or "").startswith("Alias for field number")


def name_context(found: Any, signature: str, result: str | None) -> tuple[str, str | None] | None:
    """Return the signature of a generator that is a context manager, as its callers see it."""
    generator = inspect.unwrap(found) if callable(found) else found
    if generator is found or result is None:
        return None
    _, _, given = result.partition("[")
    if inspect.isasyncgenfunction(generator):
        return signature, f"AbstractAsyncContextManager[{given}"
    return signature, f"AbstractContextManager[{given}"
