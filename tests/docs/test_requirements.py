"""Every requirement has a test that names it, or a reason why there is none: X25."""

from __future__ import annotations

from pathlib import Path

import pytest

import requirements

ROWS = {name: row for rows in requirements.chapters().values() for name, row in rows.items()}
PROOFS = requirements.proofs()


@pytest.mark.parametrize("name", ROWS)
def test_a_requirement_has_a_proof_or_one_excuse(name: str) -> None:
    row = ROWS[name]
    excuses = [row.advice, row.toolbox, row.planned]
    if name in PROOFS:
        assert not row.planned, f"{name}: {PROOFS[name]}; take `planned` out of requirements.toml"
        assert not row.excuse, f"{name}: {PROOFS[name]}, so this is wrong: {row.excuse}"
    else:
        assert len([excuse for excuse in excuses if excuse]) == 1, f"no test names {name}"


def test_tests_name_only_requirements_that_are_there() -> None:
    unknown = {name: files for name, files in PROOFS.items() if name not in ROWS}
    assert not unknown


def test_no_requirement_stands_in_two_chapters() -> None:
    assert len(ROWS) == sum(len(rows) for rows in requirements.chapters().values())


def test_an_id_looks_like_one() -> None:
    assert all(requirements.ID.fullmatch(name) for name in ROWS)


def test_only_docstrings_of_tests_and_comments_of_transcripts_are_claims(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        '"""All: R1939-3.1."""\n'
        "# X1\n"
        "def test_one():\n"
        '    """D1, R1939-6.2. Again D1."""\n'
        '    say("X2")\n'
        "def helper():\n"
        '    """X3."""\n'
    )
    (tmp_path / "conftest.py").write_text('"""X4."""\n')
    (tmp_path / "talk.txt").write_text("# T1: a dot.\nC: T2\n")
    assert requirements.proofs(tmp_path) == {
        "R1939-3.1": {"test_a.py": []},
        "D1": {"test_a.py": ["test_one"]},
        "R1939-6.2": {"test_a.py": ["test_one"]},
        "T1": {"talk.txt": []},
    }
