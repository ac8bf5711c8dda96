# Sourced by demo and test: enters the repository and makes .venv and node_modules complete.
# Versions are pinned in scripts/constraints.txt and package-lock.json; a stamp makes the second start instant.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3.11}
command -v "$python" >/dev/null || python=python3
stamp=.venv/installed
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ] || [ scripts/constraints.txt -nt "$stamp" ]; then
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  echo "installing Python packages into .venv (minutes the first time)"
  # torch comes first and exactly: any other release would bring its CUDA packages with it
  .venv/bin/pip install -qq --disable-pip-version-check -c scripts/constraints.txt torch==2.13.0
  PYTHONWARNINGS=ignore .venv/bin/pip install -qq --disable-pip-version-check -c scripts/constraints.txt -e '.[export,cpu,dev]'
  touch "$stamp"
fi
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  command -v npm >/dev/null || { echo "there is no npm on PATH; install Node 20 or newer" >&2; exit 2; }
  echo "installing npm packages into node_modules"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi
export PATH="$PWD/.venv/bin:$PATH"
