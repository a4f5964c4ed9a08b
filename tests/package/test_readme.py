"""What the README shows is what the project does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_python_session_prints_what_is_shown() -> None:
    session = next(block for block in blocks(README) if "Inspector" in block)
    setup = (
        "import numpy as np\nfrom PIL import Image\n"
        "array = np.asarray(Image.open('sample_data/parts/defect/wrong_colour/000.jpg'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", setup + session],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    shown = re.search(r"```text\n(flag .*?)```", README, re.DOTALL)
    assert shown is not None
    # Another processor may round the last digits otherwise.
    numbers = r"\d\.\d{6,}"
    for printed, claimed in zip(
        re.findall(numbers, done.stdout), re.findall(numbers, shown[1]), strict=True
    ):
        assert abs(float(printed) - float(claimed)) < 1e-5
    words = re.sub(numbers, "#", done.stdout).split()
    assert words == re.sub(numbers, "#", shown[1]).split()


def test_the_detector_is_the_tested_one_of_the_plugin_docs() -> None:
    detector = next(block for block in blocks(README) if "hookimpl" in block)
    assert detector in blocks((ROOT / "docs" / "plugins.md").read_text("utf-8"))
    lines = [line for line in detector.splitlines() if line.strip()]
    assert len(lines) <= 15


def test_every_link_leads_somewhere() -> None:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page}: {target}"


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for line in re.findall(r"^ +make ([a-z -]+?)(?:  |$)", README, re.MULTILINE):
        for target in line.split():
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
