import sys
from pathlib import Path

# The benchmarks' stand-in for torchvision is imported by name.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
