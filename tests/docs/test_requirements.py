"""Every requirement has a test that names it, or a reason why there is none: policy/tested."""

from __future__ import annotations

from pathlib import Path

import pytest

import requirements

ROWS = {name: row for rows in requirements.chapters().values() for name, row in rows.items()}
PROOFS = requirements.proofs()


@pytest.mark.parametrize("name", ROWS)
def test_a_requirement_has_a_proof_or_one_excuse(name: str) -> None:
    """Each requirement has either a test or one reason for its absence."""
    row = ROWS[name]
    excuses = [row.advice, row.planned]
    if name in PROOFS:
        assert not row.planned, f"{name}: {PROOFS[name]}; take `planned` out of requirements.toml"
        assert not row.excuse, f"{name}: {PROOFS[name]}, so this is wrong: {row.excuse}"
    else:
        assert len([excuse for excuse in excuses if excuse]) == 1, f"no test names {name}"


def test_tests_name_only_requirements_that_are_there() -> None:
    """Tests name only existing requirements."""
    unknown = {name: files for name, files in PROOFS.items() if name not in ROWS}
    assert not unknown


def test_no_requirement_stands_in_two_chapters() -> None:
    """Each requirement is in one chapter."""
    assert len(ROWS) == sum(len(rows) for rows in requirements.chapters().values())


def test_an_id_looks_like_one() -> None:
    """Each id has the form of an id."""
    assert all(requirements.ID.fullmatch(name) for name in ROWS)


def test_where_claims_are_read(tmp_path: Path) -> None:
    """Only docstrings of tests and comments of transcripts are claims."""
    (tmp_path / "test_a.py").write_text(
        '"""All: rfc1939-s3/greeting."""\n'
        "# policy/order\n"
        "def test_one():\n"
        '    """implied/numbers, rfc1939-s6/quit-unlocks. Again implied/numbers."""\n'
        '    say("policy/demo")\n'
        "def helper():\n"
        '    """policy/throttle."""\n'
    )
    (tmp_path / "conftest.py").write_text('"""policy/cleartext."""\n')
    (tmp_path / "talk.txt").write_text("# known-bug/first-dot: a dot.\nC: known-bug/capa\n")
    assert requirements.proofs(tmp_path) == {
        "rfc1939-s3/greeting": {"test_a.py": []},
        "implied/numbers": {"test_a.py": ["test_one"]},
        "rfc1939-s6/quit-unlocks": {"test_a.py": ["test_one"]},
        "known-bug/first-dot": {"talk.txt": []},
    }
