"""What each of several trainings in one process has for itself: random numbers, threads and, on a GPU, a stream."""

from __future__ import annotations

import gc
from collections import deque
from typing import Any

import torch

from longtail.engine.admission import Admission, ByMeasurement

RUN_AHEAD = 4
"""Steps of one training that may wait on a GPU: enough that it is never idle, few enough that all have their turn."""
NO_MEMORY = ("out of memory", "ALLOC_FAILED")
"""What the messages of libraries say whose errors are no `torch.OutOfMemoryError`."""


class Lane:
    """The state of the process while one training is at work; a new lane begins with the present state."""

    def __init__(self) -> None:
        self._generator = torch.get_rng_state()
        self._threads = torch.get_num_threads()

    def enter(self) -> None:
        """Restore this lane's state."""
        torch.set_rng_state(self._generator)
        if self._threads != torch.get_num_threads():
            torch.set_num_threads(self._threads)

    def leave(self) -> None:
        """Save this lane's state."""
        self._generator = torch.get_rng_state()
        self._threads = torch.get_num_threads()

    def note_step(self) -> None:
        """Take note that a step was handed to the device."""

    def is_ready(self, *, drained: bool = False) -> bool:
        """Return whether the device takes a further step; with `drained`, whether it has made all steps."""
        return True

    def wait(self, *, drained: bool = False) -> None:
        """Wait until `is_ready`."""

    def close(self) -> None:
        """Return to the device what others may use."""


class Cpu:
    """The device of trainings on the CPU."""

    takes_processes = True
    """Whether several processes make it faster."""

    def lane(self) -> Lane:
        """Return a lane for one training."""
        return Lane()

    def outer(self) -> Lane:
        """Return the lane of the caller."""
        return Lane()

    def admission(self, most: int | None) -> Admission:
        """Return the rule of how many trainings are at work at once, at most `most`."""
        return Admission(most)

    def lacks_memory(self, error: Exception) -> bool:
        """Return whether a training failed because of the memory that others take."""
        return False

    def release(self) -> None:
        """Give memory back that a finished training used."""


class CudaLane(Lane):
    """A lane with a stream and a generator of the GPU.

    Generator states are exchanged, not copied: a CUDA graph reads the seed from the state object under which it was
    recorded, and graphs of two lanes must not share one.
    """

    def __init__(self, cuda: Cuda, stream: Any, state: torch.Generator) -> None:
        super().__init__()
        self._cuda, self._stream, self._state = cuda, stream, state
        self._determinism = _determinism()
        self._made: deque[Any] = deque()  # an event after each step that the device may not have made

    def enter(self) -> None:
        """Restore this lane's state."""
        super().enter()
        torch.cuda.set_stream(self._stream)
        self._cuda.generator().graphsafe_set_state(self._state)
        if self._determinism != _determinism():
            algorithms, *cudnn = self._determinism
            torch.use_deterministic_algorithms(algorithms)
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn

    def leave(self) -> None:
        """Save this lane's state."""
        super().leave()
        self._determinism = _determinism()

    def note_step(self) -> None:
        """Record an event behind the step."""
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(self._stream)
        self._made.append(event)

    def is_ready(self, *, drained: bool = False) -> bool:
        """Return whether fewer than `RUN_AHEAD` steps wait; with `drained`, whether none does."""
        while self._made and self._made[0].query():
            self._made.popleft()
        return not self._made if drained else len(self._made) < RUN_AHEAD

    def wait(self, *, drained: bool = False) -> None:
        """Wait for the last step, or for the oldest one."""
        if self._made:
            self._made[-1 if drained else 0].synchronize()

    def close(self) -> None:
        """Let the stream of the caller wait for this one, which another training may use."""
        self._cuda.take_back(self._stream)


def _determinism() -> tuple[bool, bool, bool]:
    """What `engine.determinism` sets."""
    backend = torch.backends.cudnn
    return torch.are_deterministic_algorithms_enabled(), backend.deterministic, backend.benchmark


class Cuda:
    """One GPU.

    Args:
        device: such as "cuda" or "cuda:1".
    """

    takes_processes = False
    """They take turns on a GPU."""

    def __init__(self, device: str) -> None:
        torch.cuda.init()  # type: ignore[no-untyped-call]
        named = torch.device(device)
        self._device = torch.device("cuda", torch.cuda.current_device() if named.index is None else named.index)
        self._outer = torch.cuda.current_stream(self._device)
        self._streams: list[Any] = []  # that no training uses

    def generator(self) -> torch.Generator:
        """Return torch's global generator of this GPU."""
        generator: torch.Generator = torch.cuda.default_generators[self._device.index]
        return generator

    def lane(self) -> Lane:
        """Return a lane with a stream that no other has."""
        stream = self._streams.pop() if self._streams else torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        stream.wait_stream(self._outer)
        return CudaLane(self, stream, self.generator().clone_state())

    def outer(self) -> Lane:
        """Return the lane of the caller, on its stream."""
        return CudaLane(self, self._outer, self.generator().graphsafe_get_state())

    def take_back(self, stream: Any) -> None:
        """Keep a stream for the next lane."""
        if stream != self._outer:
            self._outer.wait_stream(stream)
            self._streams.append(stream)

    def admission(self, most: int | None) -> Admission:
        """Return the rule of how many trainings are at work at once, at most `most`."""
        return ByMeasurement(most, self.free_memory)

    def free_memory(self) -> int:
        """Return the bytes that nobody has on this GPU."""
        return int(torch.cuda.mem_get_info(self._device)[0])

    def lacks_memory(self, error: Exception) -> bool:
        """Return whether the GPU was out of memory."""
        return isinstance(error, torch.OutOfMemoryError) or (
            isinstance(error, RuntimeError) and any(part in str(error) for part in NO_MEMORY)
        )

    def release(self) -> None:
        """Return cached memory to the GPU, so that `free_memory` counts it."""
        gc.collect()  # a training that has ended may be a reference cycle
        torch.cuda.empty_cache()


Device = Cpu | Cuda


def device_of(name: str) -> Device:
    """Return the device of that name."""
    return Cuda(name) if torch.device(name).type == "cuda" else Cpu()
