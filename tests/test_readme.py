"""What the README says: its example runs, its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_example_runs_and_prints_what_it_says(tmp_path: Path) -> None:
    assert len(EXAMPLE.splitlines()) <= 12
    done = subprocess.run([sys.executable, "-c", EXAMPLE], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = re.findall(r"# prints (.*)", EXAMPLE)
    assert said == done.stdout.splitlines()


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", README)
    assert "docs/cli.md" in links
    for link in links:
        if "://" not in link:
            assert (ROOT / link).exists(), link


@pytest.mark.parametrize("command", ['pip install ".[cli]" && scoutcore demo', 'pip install -e ".[test]" && pytest'])
def test_the_two_commands_are_there(command: str) -> None:
    assert f"\n{command}\n" in README
