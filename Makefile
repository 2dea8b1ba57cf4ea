# Two commands do everything on a fresh machine with Python 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint bench clean

demo: $(VENV)/.demo
	rm -rf runs/demo
	$(BIN)/policyscope explain zoo:breakout-dddqn --steps 500 --seed 1 --out runs/demo
	$(BIN)/policyscope report runs/demo

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.test
	$(BIN)/python benchmarks/methods.py
	$(BIN)/python benchmarks/perturbation.py
	$(BIN)/python benchmarks/episode.py
	$(BIN)/python benchmarks/viewer.py
	$(BIN)/python benchmarks/live.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/training.py

$(VENV)/.demo: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[video]'
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[video,hub,train,test]'
	# The first two name torchvision as a need, which has no CPU build here and is not used, the tests stand in for it;
	# the last would replace the OpenCV that needs no screen.
	$(PIP) --no-deps zennit==0.5.1 grad-cam==1.5.7 ttach==0.0.3 quantus==0.6.0
	$(PIP) cachetools pandas
	touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) runs build dist
