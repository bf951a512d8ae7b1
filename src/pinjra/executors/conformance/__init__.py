"""The conformance suite, shipped: `python -m pinjra.executors.conformance jail`, or `run_conformance(make)`."""

from pinjra.executors.conformance.suite import Check as Check
from pinjra.executors.conformance.suite import CheckFailed as CheckFailed
from pinjra.executors.conformance.suite import Result as Result
from pinjra.executors.conformance.suite import run_conformance as run_conformance
