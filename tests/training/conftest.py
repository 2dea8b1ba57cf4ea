import sys
from pathlib import Path

# The training scripts stand beside the package.
sys.path.insert(0, str(Path(__file__).parents[2] / "training"))
