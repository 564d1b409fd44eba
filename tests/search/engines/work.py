"""Work for worker processes: plain functions in a module that they can import."""

import os
import signal
import threading
import time
from pathlib import Path

import torch

from search.jobs import Outcome


def double(job):
    return 2 * job


def describe_worker(job):
    """Process, its threads, and how it takes Ctrl-C."""
    return os.getpid(), torch.get_num_threads(), signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def wait_for_file(path):
    """Wait until there is a file of that name; no name is not waited for."""
    while path and not Path(path).exists():
        time.sleep(0.05)
    return path


def die_first(job):
    """Job (folder, name): the process dies at the first attempt; one called "always" each time."""
    folder, name = job
    attempts = Path(folder) / name
    with attempts.open("a") as file:
        file.write("x")
    if name == "always" or (name.startswith("once") and attempts.read_text() == "x"):
        os._exit(1)
    return name


def refuse(job):
    if job == 3:
        raise ValueError(f"{job} is not for me")
    return job


def tell_pid_and_wait(folder):
    """Write the worker's process id into the folder, then wait for a long time."""
    (Path(folder) / f"{os.getpid()}.pid").touch()
    time.sleep(600)


def score(job):
    """Die or refuse as the name of the job's weights says, as `die_first`."""
    if job.weights.name == "refused":
        raise ValueError("refused is not for me")
    die_first((job.weights.parent, job.weights.name))
    return Outcome(number=job.number, scores={"psnr_y": 1.0})


def score_together(job):
    """Wait until the other job of the generation is under way too; score the process."""
    job.weights.touch()
    generation, which = job.weights.name
    while not job.weights.with_name(generation + {"a": "b", "b": "a"}[which]).exists():
        time.sleep(0.1)
    return Outcome(number=job.number, scores={"pid": os.getpid()})


def score_and_kill(job):
    """Write the process down; job 0b kills that of 0a once it is idle."""
    job.weights.write_text(str(os.getpid()))
    if job.weights.name in ("0a", "0b"):
        other = job.weights.with_name({"0a": "0b", "0b": "0a"}[job.weights.name])
        while not other.exists() or not other.read_text():
            time.sleep(0.1)
        if job.weights.name == "0b":
            time.sleep(3)
            os.kill(int(other.read_text()), signal.SIGKILL)
    return Outcome(number=job.number, scores={"pid": os.getpid()})


_BESIDE = threading.Semaphore(100)


def _beside():
    """How many jobs this process has now, itself among them."""
    return 100 - _BESIDE._value


def touch_or_wait(job):
    """Job (path, whether to touch it): wait for the file where it is not."""
    path, touches = job
    if touches:
        Path(path).touch()
    wait_for_file(path)
    return Outcome(number=0, scores={"pid": os.getpid()})


def count_beside(job):
    """Score the jobs that the process has a moment later."""
    with _BESIDE:
        time.sleep(0.1)
        return Outcome(number=job, scores={"beside": _beside()})


def run_out_beside_others(job):
    """Run out of memory if the process has another job."""
    with _BESIDE:
        time.sleep(0.2)
        return Outcome(number=job, memory={"reached_bytes": 1} if _beside() > 1 else {})
