"""The trial methods stand in the catalogue while a test of this folder runs, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import toys

from longtail.methods import registry
from longtail.runs.run import Run


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "CATALOG", {**registry.CATALOG, **toys.TOYS})
        yield


@pytest.fixture(autouse=True, scope="module")
def no_pictures(undrawn: object) -> None: ...


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """One run of every spec, made when it is first asked for."""
    root = tmp_path_factory.mktemp("runs")

    class Runs(dict[str, Run]):
        def __missing__(self, spec: str) -> Run:
            self[spec] = toys.trained(spec, root / str(len(self)))
            return self[spec]

    return Runs()
