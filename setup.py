"""Lists the packages: `turbo_webnn` is `api/`, `turbo_webnn.export` is `export/`, and so on.

pyproject.toml cannot say this: it maps packages to folders, but finds none below a folder with another name. `api/` is
not called `turbo_webnn`, because Python started in this folder would then take it for the whole package.
"""

from setuptools import find_namespace_packages, setup

FOLDERS = {"turbo_webnn": "api", **{f"turbo_webnn.{name}": name for name in ("export", "models", "runtime", "scripts")}}

setup(
    package_dir=FOLDERS,
    # folders of data count as packages: configs, tables, embedded checkpoints and browser scripts travel too
    packages=[
        name
        for package, folder in FOLDERS.items()
        for name in [package, *(f"{package}.{inner}" for inner in find_namespace_packages(folder))]
    ],
)
