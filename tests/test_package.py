"""The installed package: what lands in site-packages, and what a project that uses it sees."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import turbo_webnn

ROOT = Path(__file__).parents[1]

PUBLIC = ["Bundle", "Pipeline", "RequestError", "export_bundle", "open_source", "verify"]

PROJECT = """
from turbo_webnn import Bundle, Pipeline, RequestError, export_bundle, open_source, verify

def convert(checkpoint: str, folder: str) -> bool:
    try:
        bundle: Bundle = export_bundle(checkpoint, folder, precision="fp16", components=["text_encoder"])
    except RequestError as error:
        print(error)
        return False
    return verify(bundle, open_source(checkpoint), steps=[1]).passed

def draw(folder: str, prompt: str) -> tuple[int, int]:
    return Pipeline.open(folder).generate(prompt, steps=1, seed=7).images[0].size
"""

MISTAKES = """
from turbo_webnn import Pipeline, export_bundle

export_bundle("tiny", "out", precision="fp17")
Pipeline.open("out").draw("a cat", steps="four")
"""

MYPY = """
[mypy]
strict = True
[mypy-torch.*,diffusers.*,transformers.*,onnxscript.*]
# the face says nothing of theirs, and reading them takes a minute
follow_imports = skip
"""

IN_A_PROJECT = """
import export, models, runtime, scripts
assert all(module.mine for module in (export, models, runtime, scripts))
from turbo_webnn import Pipeline, RequestError, export_bundle
export_bundle("tiny", "out", components=["text_encoder"])
try:
    Pipeline.open("out").draw("a cat")
except RequestError as error:
    print(error)
"""


def run(*words: str | Path, cwd: Path | None = None, status: int = 0) -> str:
    """Standard output of a command in `cwd`, without the variables that name modules."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=300, cwd=cwd, env=environment
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a virtual environment with the wheel installed; libraries are borrowed from ours."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("api", "export", "models", "runtime", "scripts"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder / "wheels", source)
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    interpreter = folder / "venv" / "bin" / "python"
    (wheel,) = (folder / "wheels").iterdir()
    run(*pip, "--python", interpreter, "install", "--no-deps", "--no-index", wheel)
    (site_packages(interpreter) / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return interpreter


def site_packages(interpreter: Path) -> Path:
    return Path(run(interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())


def test_nothing_else_lands_in_site_packages(python: Path) -> None:
    installed = {path.name for path in site_packages(python).iterdir()}
    assert {name for name in installed if not name.endswith(".dist-info")} == {"borrowed.pth", "turbo_webnn"}


def test_every_file_of_data_is_installed(python: Path) -> None:
    installed = site_packages(python) / "turbo_webnn"
    for folder in ("export", "models", "runtime"):
        ours = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.suffix != ".pyc"}
        missing = {path for path in ours if path.suffix and not (installed / path).exists()}
        assert missing <= {Path("runtime/web/screenshot.png"), *Path().glob("models/*/*.png")}, missing


def test_a_project_is_checked_against_the_types(python: Path, tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(PROJECT)
    (tmp_path / "mistakes.py").write_text(MISTAKES)
    (tmp_path / "mypy.ini").write_text(MYPY)
    told = run(sys.executable, "-m", "mypy", "--python-executable", python, ".", cwd=tmp_path, status=1).splitlines()
    assert [line.split(":")[0] for line in told[:-1]] == ["mistakes.py", "mistakes.py"], told
    assert '"precision"' in told[0], told
    assert '"steps"' in told[1], told


def test_a_project_may_have_modules_of_our_folders_names(python: Path, tmp_path: Path) -> None:
    for name in ("export.py", "runtime.py", "models/__init__.py", "scripts/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine = True")
    (tmp_path / "project.py").write_text(IN_A_PROJECT)
    assert "out has no unet" in run(python, "project.py", cwd=tmp_path)
    command = python.with_name("turbo-webnn")
    assert "WebNN" in run(command, "check", "out", "--rules-only", cwd=tmp_path)
    run(command, "check", "out", cwd=tmp_path, status=2)  # what needs npm packages says so


def test_importing_the_pipeline_is_light(python: Path) -> None:
    code = "import sys; from turbo_webnn import Pipeline; print(*sys.modules)"
    loaded = set(run(python, "-c", code).split())
    assert not loaded & {"torch", "diffusers", "transformers", "onnxscript", "turbo_webnn.runtime.verification.verify"}


def test_the_public_face_is_six_names() -> None:
    assert sorted(turbo_webnn.__all__) == PUBLIC
    assert all(getattr(turbo_webnn, name).__name__ == name for name in PUBLIC)
    assert set(PUBLIC) <= set(dir(turbo_webnn))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        turbo_webnn.nothing  # noqa: B018


def test_no_function_shadows_a_module() -> None:
    packages = {folder.parent for folder in ROOT.glob("[aemrs]*/**/__init__.py") if "tests" not in folder.parts}
    for folder in packages:
        name = "turbo_webnn." + ".".join(folder.relative_to(ROOT).parts)
        package = turbo_webnn if folder.name == "api" else import_module(name)
        inner = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
        for module in inner & set(vars(package)):
            assert isinstance(vars(package)[module], ModuleType), f"{name} hides its module {module}"
