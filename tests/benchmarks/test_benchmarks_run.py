"""The benchmarks run at small size and print their ratios; no time is asserted."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.benchmark
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py")))
def test_benchmark_prints_its_figures(name: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{name}", "--small"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert any(character.isdigit() for character in result.stdout)
