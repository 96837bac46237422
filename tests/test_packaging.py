"""pyproject.toml, constraints.txt and environment.yml say the same; the package is what they describe."""

import re
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # only this test reads it
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import sac_tutorial

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA_NAMES = {"pytorch-cpu": "torch"}
IN_CONDA = ("notebooks", "test")  # and what the package itself needs


def ranges(lines: list[str]) -> dict[str, SpecifierSet]:
    """Requirements as ranges by name; a package's mention of its own extras is left out."""
    requirements = [Requirement(line) for line in lines]
    found = {canonicalize_name(requirement.name): requirement.specifier for requirement in requirements}
    assert len(found) == len(requirements), "a name is there twice"
    return {name: specifier for name, specifier in found.items() if name != "sac-tutorial"}


RUNTIME = ranges(PROJECT["dependencies"])
EXTRAS = {name: ranges(lines) for name, lines in PROJECT["optional-dependencies"].items()}
DIRECT = RUNTIME | {name: specifier for extra in EXTRAS.values() for name, specifier in extra.items()}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {name: str(specifier) for name, specifier in ranges([line for line in lines if line[:1] != "#"]).items()}


def test_every_constraint_is_one_public_version() -> None:
    for name, specifier in pins().items():
        assert specifier.startswith("=="), f"{name} is not pinned, but {specifier!r}"
        assert not set(specifier) & set("*+/@,"), f"{name}{specifier} exists on some machines only"


@pytest.mark.parametrize("name", sorted(DIRECT))
def test_every_direct_dependency_is_pinned_inside_its_range(name: str) -> None:
    version = pins()[name].removeprefix("==")
    assert DIRECT[name].contains(version), f"{name} {version} lies outside {DIRECT[name]}"


@pytest.mark.parametrize("name", sorted(DIRECT))
def test_every_range_begins_with_the_version_that_was_used(name: str) -> None:
    (least,) = [each.version for each in DIRECT[name] if each.operator == ">="]
    version = pins()[name].removeprefix("==")
    assert version.split(".")[: len(least.split("."))] == least.split("."), (
        f"{name}: used {version}, but claims {least}"
    )


def test_outputs_are_made_with_torch_2_13_0() -> None:
    assert pins()["torch"] == "==2.13.0"


def test_dev_brings_everything_but_the_peers_of_the_benchmarks() -> None:
    (everything,) = [line for line in PROJECT["optional-dependencies"]["dev"] if line.startswith("sac_tutorial")]
    assert Requirement(everything).extras == set(EXTRAS) - {"dev", "bench"}


def test_conda_environment_has_the_ranges_of_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["channels"][0] == "conda-forge"
    *conda, by_pip = environment["dependencies"]
    itself, *others = by_pip["pip"]
    assert itself == "-e ."
    stated = ranges(conda) | ranges(others)
    assert stated.pop("python") == SpecifierSet(PROJECT["requires-python"])
    assert stated.pop("pip") == SpecifierSet()
    wanted = RUNTIME | {name: specifier for extra in IN_CONDA for name, specifier in EXTRAS[extra].items()}
    assert {CONDA_NAMES.get(name, name): specifier for name, specifier in stated.items()} == wanted


def test_makefile_demands_the_python_that_pyproject_does() -> None:
    (least,) = [each.version for each in SpecifierSet(PROJECT["requires-python"])]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert f"sys.version_info < ({least.replace('.', ', ')})" in makefile
    assert SpecifierSet(PROJECT["requires-python"]).contains(".".join(map(str, sys.version_info[:3])))


def test_package_is_typed_and_its_version_is_in_the_changelog() -> None:
    assert resources.files("sac_tutorial").joinpath("py.typed").is_file()
    assert f"## [{sac_tutorial.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_examples_of_the_readme_print_what_the_readme_shows(capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```\s*```text\n(.*?)```", readme, re.DOTALL)
    assert len(examples) == readme.count("```python") == 3
    for example, output in examples:
        exec(example, {})
        assert capsys.readouterr().out == output
