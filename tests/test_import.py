"""`import longtail` costs nothing until something is used."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import longtail as lt


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sorted({{m.split('.')[0] for m in sys.modules}})))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(out.stdout.split())


@pytest.mark.slow
def test_import_loads_nothing_heavy() -> None:
    assert not loaded_after("import longtail") & {
        "torch",
        "numpy",
        "sklearn",
        "pandas",
        "typer",
        "rich",
        "matplotlib",
    }


@pytest.mark.slow
def test_a_loss_loads_only_torch_and_numpy() -> None:
    found = loaded_after("import longtail as lt; lt.losses.CrossEntropyLoss()")
    assert "torch" in found
    assert not found & {"sklearn", "scipy", "pandas", "typer", "rich", "matplotlib", "joblib"}


@pytest.mark.slow
def test_report_runs_without_torch() -> None:
    assert "torch" not in loaded_after(
        "import longtail.report.tables, longtail.report.recall_plot, longtail.report.files"
    )


@pytest.mark.slow
def test_help_loads_neither_torch_nor_numpy() -> None:
    assert not loaded_after("import longtail.cli") & {"torch", "numpy", "sklearn", "pandas"}


def test_every_public_name_is_reachable() -> None:
    for name in lt.__all__:
        assert getattr(lt, name) is not None, name


def test_every_submodule_is_reachable_lazily() -> None:
    for name in (
        "losses",
        "functional",
        "sampling",
        "heads",
        "posthoc",
        "metrics",
        "schedules",
        "class_weights",
    ):
        assert name in dir(lt)
        assert getattr(lt, name) is importlib.import_module(f"longtail.{name}")


def test_dir_lists_every_submodule_and_name_and_nothing_else() -> None:
    modules = {m.name for m in pkgutil.iter_modules(lt.__path__)} - {"__main__"}
    public = {name for name in dir(lt) if not name.startswith("__")}
    assert modules | set(lt.__all__) <= public
    assert all(getattr(lt, name) is not None for name in public)
    assert not public & {"Any", "TYPE_CHECKING", "annotations", "import_module"}


@pytest.mark.slow
def test_dir_loads_nothing() -> None:
    assert not loaded_after("import longtail; dir(longtail)") & {"torch", "numpy"}


def test_compare_stays_a_function_after_its_package_was_imported() -> None:

    assert callable(lt.compare)
