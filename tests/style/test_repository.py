"""What must not be in the repository: places of one machine, hosts of package indexes, large files."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_BYTES = 1_500_000
# Written in pieces, so that this file does not contain what it looks for.
FOLDERS = ("work", "root", "farm", r"home/\w+", r"Users/\w+")
HOSTS = (r"pypi\.org/" "simple", r"files\.python" r"hosted\.org", r"registry\.npm" r"js\.org", r"deb\.deb" r"ian\.org",
         r"download\.py" r"torch\.org")
LEAK = re.compile(r"(?<![\w.~-])/(?:" + "|".join(FOLDERS) + r")/|" + "|".join(HOSTS))


def files() -> list[Path]:
    """Every file that git tracks or would add."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("not a git checkout: git cannot say which files belong to the repository")
    return sorted(path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file())


def leaks(text: str) -> list[str]:
    """Lines with a machine path or an index host, numbered."""
    return [f"{number}: {line.strip()[:120]}" for number, line in enumerate(text.splitlines(), 1) if LEAK.search(line)]


def test_no_machine_paths_or_index_hosts() -> None:
    found = {str(path.relative_to(ROOT)): lines for path in files()
             if (lines := leaks(path.read_bytes().decode("utf-8", errors="ignore")))}
    assert found == {}


def test_no_large_files() -> None:
    assert {str(path.relative_to(ROOT)): path.stat().st_size for path in files()
            if path.stat().st_size > MAX_BYTES} == {}


@pytest.mark.parametrize("bad", [
    "cd /wo" "rk/main", "'/ro" "ot/x'", "at /ho" "me/someone/x", "https://pypi.o" "rg/simple",
])
def test_leaks_are_seen(bad: str) -> None:
    assert leaks(f"first line\n{bad}\n") == [f"2: {bad}"]


@pytest.mark.parametrize("good", ["frame" "work/x", "src/wo" "rk/y", "~/ho" "me/x", "see the homework/ro" "ot/cause"])
def test_ordinary_text_is_not_a_leak(good: str) -> None:
    assert leaks(good) == []
