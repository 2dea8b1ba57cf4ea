import sys
from pathlib import Path

# The oracles and networks beside the tests, and the benchmarks' stand-in for torchvision, are imported by name.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "benchmarks")]
