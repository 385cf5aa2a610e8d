"""MLflow: a run of an experiment that is called as the data, in a local store or at the address given."""

from __future__ import annotations

import importlib.util
import os
import re
import time
import warnings
from pathlib import Path
from typing import Any

TAG = "longtail.id"
NAMES = re.compile(r"[^\w\-. /]")
"""What a name may not have; replaced by an underscore."""
DATABASE = "mlflow.db"
RETRIES = "3"
"""How often a server that does not answer is asked again; MLflow itself asks for minutes."""
MOST = 100
"""Parameters that MLflow takes at a time."""


def address(place: str) -> str:
    """Return the tracking URI of a place: itself where it is one, else a store in that folder.

    An SQLite database where SQLAlchemy is installed, as with the whole of MLflow; else files, which mlflow-skinny can
    write alone. A folder that has one of them keeps it.
    """
    if "://" in place or place == "databricks":
        return place
    folder = Path(place).resolve()
    database = folder / DATABASE
    files = any(folder.glob("*/meta.yaml"))
    if database.exists() or (not files and importlib.util.find_spec("sqlalchemy") is not None):
        folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{database}"
    return folder.as_uri()


def client(place: str) -> Any:
    """Return a client of the store. MLflow's telemetry is off, and a store of files is allowed for where it is one."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", RETRIES)
    uri = address(place)
    if uri.startswith("file:"):
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=uri)


def experiment(store: Any, name: str) -> str:
    """Return the id of an experiment, which is made where there is none."""
    known = store.get_experiment_by_name(name)
    return str(store.create_experiment(name) if known is None else known.experiment_id)


class MLflow:
    """One run, found again by its identity, of which epochs that are there are not written again.

    Args:
        place: a folder or a tracking URI.
        name, identity, about: of the run.
        group: the name of the experiment.
    """

    def __init__(self, place: str, name: str, identity: str, group: str, about: dict[str, Any]) -> None:
        self._client, self._ended = client(place), False
        where = experiment(self._client, group)
        found = self._client.search_runs([where], f"tags.`{TAG}` = '{identity}'", max_results=1)
        if found:
            self._run = found[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
        else:
            self._run = self._client.create_run(where, tags={TAG: identity}, run_name=name).info.run_id
        self._known: dict[str, set[int]] = {}
        for key in found[0].data.metrics if found else ():
            self._known[key] = {one.step for one in self._client.get_metric_history(self._run, key)}
        self._params(about, {} if not found else found[0].data.params)

    def epoch(self, numbers: dict[str, float], step: int) -> None:
        """Log the numbers of one epoch that are not there."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        named = {NAMES.sub("_", name): value for name, value in numbers.items()}
        new = [Metric(k, v, now, step) for k, v in named.items() if step not in self._known.get(k, ())]
        if new:
            self._client.log_batch(self._run, metrics=new)
        for one in new:
            self._known.setdefault(one.key, set()).add(step)

    def end(self, numbers: dict[str, float], text: str | None = None) -> None:
        """Log the final numbers, and a table as an artifact."""
        self.epoch(numbers, 0)
        self._ended = True
        if text is not None:
            self._client.log_text(self._run, text, "comparison.md")

    def close(self, *, failed: bool) -> None:
        """Say how the run ended; one that is resumed is RUNNING again."""
        self._client.set_terminated(self._run, "FINISHED" if self._ended else "FAILED" if failed else "KILLED")

    def _params(self, about: dict[str, Any], known: dict[str, str]) -> None:
        from mlflow.entities import Param

        new = [Param(NAMES.sub("_", name), str(value)) for name, value in about.items()]
        new = [one for one in new if one.key not in known]
        for first in range(0, len(new), MOST):
            self._client.log_batch(self._run, params=new[first : first + MOST])
