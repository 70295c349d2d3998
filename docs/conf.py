"""Sphinx: the documentation, with warnings as errors (make docs)."""

from restante import __version__

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
