"""Writes golden.tfevents with TensorBoard's own classes, and golden.json with what TensorBoard reads from it.

    python3 -m venv venv && venv/bin/pip install tensorboard==2.20.0 && venv/bin/python golden.py

With the path of another event file or of a folder as its argument, it prints what TensorBoard reads from that.
"""
import json
import os
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

here = os.path.dirname(os.path.abspath(__file__))
path = os.path.join(here, "golden.tfevents.tandem")


def scalars(wall_time, step, **values):
    summary = summary_pb2.Summary(
        value=[summary_pb2.Summary.Value(tag=tag.replace("__", "/"), simple_value=values[tag]) for tag in sorted(values)])
    return event_pb2.Event(wall_time=wall_time, step=step, summary=summary)


def write():
    events = [
        event_pb2.Event(wall_time=1.7e9, file_version="brain.Event:2"),
        scalars(1700000001.5, 0, loss=3.5),
        scalars(1700000002.25, 1, loss=2.25, objective__kl=-0.125),
        scalars(1700000003.0, 300, loss=float("nan"), objective__kl=1e30),
    ]
    with open(path, "wb") as f:
        writer = RecordWriter(f)
        for event in events:
            writer.write(event.SerializeToString())


def read(where):
    accumulator = EventAccumulator(where, size_guidance={"scalars": 0})
    accumulator.Reload()
    return {tag: [[e.step, None if e.value != e.value else e.value] for e in accumulator.Scalars(tag)]
            for tag in accumulator.Tags()["scalars"]}


if len(sys.argv) > 1:
    print(json.dumps(read(sys.argv[1]), sort_keys=True))
else:
    write()
    with open(os.path.join(here, "golden.json"), "w") as f:
        f.write(json.dumps(read(path), sort_keys=True) + "\n")
