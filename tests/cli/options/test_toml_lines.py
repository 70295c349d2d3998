"""The line of a setting in a file of TOML."""

from __future__ import annotations

import pytest

from restante.cli.options.toml_lines import find_line

TEXT = """\
# [work]
[work]  # the first
account = "ann@example.com"
oauth = { flow = "device" }

[ "my.old" ]
account = '''
[work.fetch]
keep = 1
'''
fetch.keep = 5
[work.fetch]
  "keep" = 5
[[work.fetch.rule]]
to = "maildir:a"
[[work.fetch.rule]]
to = "maildir:b"
seen = true
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (["work"], 2),
        (["work", "account"], 3),
        (["work", "oauth", "flow"], 4),
        (["my.old"], 6),
        (["my.old", "fetch", "keep"], 6),
        (["work", "fetch", "rule", "seen"], 18),
        (["work", "fetch", "rule", "to"], 2),
        (["missing"], None),
    ],
)
def test_lines(path: list[str], line: int | None) -> None:
    """A setting has its line, or that of a table around it, but never the line of another one."""
    assert find_line(TEXT, *path) == line
