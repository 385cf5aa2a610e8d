"""Pass the events of a training on, and write its epochs to a tracker: each once, whatever was interrupted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longtail.facts import files, json_documents
from longtail.runs import manifest
from longtail.runs.run import IDENTITY
from longtail.runs.search import CANDIDATE
from longtail.runs.trackers.named import Tracker, Writer, named
from longtail.runs.trackers.numbers import numbers, parameters

if TYPE_CHECKING:
    from longtail.engine.due_step import Events
    from longtail.runs.fit import Fit

log = logging.getLogger(__name__)


class Tracking:
    """One run and its tracker; what fails there is one warning, and nothing is sent any more.

    Args:
        tracker: where to.
        name, identity, group, about: as in `Tracker.writer`.
    """

    def __init__(self, tracker: Tracker, name: str, identity: str, group: str, about: dict[str, Any]) -> None:
        self._what = f"tracker {tracker.name}"
        self._writer: Writer | None = None
        self._written = 0
        with self._harmless():
            self._writer = tracker.writer(name, identity, group, about)

    def epochs(self, records: list[Any]) -> None:
        """Write all epochs so far, of which those that were written by this process are not written again."""
        for step, record in enumerate(records[self._written :], self._written + 1):
            self._do(partial(_write, numbers(record), step))
        self._written = max(self._written, len(records))

    def end(self, scores: Mapping[str, Any], text: str | None = None) -> None:
        """Write the final scores and close."""
        self._do(lambda writer: writer.end(numbers(scores, "final/"), text))
        self._do(lambda writer: writer.close(failed=False))
        self._writer = None

    def close(self, *, failed: bool) -> None:
        """Close a run that has not ended."""
        self._do(lambda writer: writer.close(failed=failed))
        self._writer = None

    def _do(self, call: Callable[[Writer], None]) -> None:
        with self._harmless():
            if self._writer is not None:
                call(self._writer)

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever a tracker's package, disk or server raises
            self._writer = None
            reason = next(iter(str(error).splitlines()), "")[:200]
            log.warning("%s failed (%s: %s); the training goes on without it", self._what, type(error).__name__, reason)


def prepare(tracker: Tracker, group: str) -> None:
    """Make what the runs of a comparison share; where that fails, each of them says so."""
    with suppress(Exception):
        tracker.prepare(group)


def tracked(fit: Fit, events: Events, given: str | Tracker) -> Events:
    """Return events that are also written to a tracker, which is checked now; begun with the first epoch.

    The lines of the run's folder are what is written: on resume those before the interruption first, as far as the
    tracker lacks them. The candidates of a search are not tracked, their choice is.
    """
    tracker = named(given)
    assert tracker is not None
    return _events(fit, events, tracker.below(fit.folder))


def _events(fit: Fit, events: Events, tracker: Tracker) -> Generator[Any, None, None]:
    tracking: Tracking | None = None
    records: list[Any] = []

    def begun() -> Tracking:
        words = {name: fit.config[name] for name in IDENTITY if name in fit.config}
        place = None if fit.folder is None else str(fit.folder.resolve())
        identity = files.json_checksum([words, place])[:16]
        fold = fit.folder.name if fit.folder is not None and fit.folder.name.startswith("fold-") else ""
        name = "-".join(filter(None, (fit.method.key, f"seed-{fit.seed}", fold)))
        return Tracking(tracker, name, identity, fit.splits.name, parameters(fit.config))

    try:
        with closing(events):
            for event in events:
                if isinstance(event, dict) and not str(event.get("stage", "")).startswith(CANDIDATE):
                    if tracking is None:
                        tracking, records = begun(), _before(fit.folder)
                    records.append(event)
                    tracking.epochs(records)
                yield event
        if tracking is None:  # it was finished before, or is the choice of a search
            tracking, records = begun(), _lines(fit.folder)
            tracking.epochs(records)
        tracking.end({} if fit.folder is None else _scores(fit))
    except BaseException as error:
        if tracking is not None:
            tracking.close(failed=isinstance(error, Exception))
        raise


def _lines(folder: Path | None) -> list[Any]:
    """The records of the finished epochs of a run's folder."""
    path = None if folder is None else folder / manifest.LINES
    return json_documents.read_lines(path, manifest.WAY_OUT) if path is not None and path.exists() else []


def _before(folder: Path | None) -> list[Any]:
    """The records before the first one of this process, whose line is written when it comes."""
    return _lines(folder)[:-1]


def _scores(fit: Fit) -> Mapping[str, Any]:
    """The scores of the finished run, and its seconds."""
    result = fit.run.result
    return {**(result["scores"] or {}), "seconds": result["seconds"]}


def _write(record: dict[str, float], step: int, writer: Writer) -> None:
    """Write one epoch."""
    writer.epoch(record, step)
