# Sourced by demo and test: enters the repository and makes .venv and node_modules complete.
# Files are checked against the hashes in scripts/requirements.lock.txt and package-lock.json; `python -m turbo_webnn.scripts.lock`
# writes the former. A stamp makes the second start instant.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3.11}
command -v "$python" >/dev/null || python=python3

# newer STAMP FILE...: whether one of the files has changed since STAMP was made, or there is none
newer() { [ ! -e "$1" ] || [ -n "$(find "${@:2}" -newer "$1")" ]; }

if newer .venv/installed pyproject.toml setup.py scripts/requirements.lock.txt scripts/torch.txt; then
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  echo "installing Python packages into .venv (minutes the first time)"
  install=(.venv/bin/pip install -qq --disable-pip-version-check)
  # the lock names every package, so nothing is resolved: accelerate would ask for torch, which is not of the lock
  "${install[@]}" --no-deps --require-hashes -r scripts/requirements.lock.txt
  "${install[@]}" -r scripts/torch.txt
  # what builds the project is of the lock, so nothing is fetched for it
  PYTHONWARNINGS=ignore "${install[@]}" --no-deps --no-build-isolation -e .
  touch .venv/installed
fi
# the package as type checkers look for it (pyproject.toml names the folder)
mkdir -p build/types/turbo_webnn
for folder in export models runtime scripts; do
  ln -sfn "../../../$folder" "build/types/turbo_webnn/$folder"
done
ln -sf ../../../api/__init__.py ../../../api/py.typed build/types/turbo_webnn
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  command -v npm >/dev/null || { echo "there is no npm on PATH; install Node 20 or newer" >&2; exit 2; }
  echo "installing npm packages into node_modules"
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  touch node_modules/.package-lock.json
fi
export PATH="$PWD/.venv/bin:$PATH"
