# SPDX-License-Identifier: MIT
"""Runs the cases against a server that sends every message back, and prints a table of them.

  python3 run.py HOST PORT [--full] [--only 6.4] [--quiet]

The exit status is 1 when a case has failed.
"""

import argparse
import sys
import time

from cases import CASES, NonStrict, World


def order(number):
    return [int(part) for part in number.split(".")]


def result(number, world):
    started = time.monotonic()
    world.note = ""
    try:
        CASES[number](world)
        outcome, why = "pass", world.note
    except NonStrict as reason:
        outcome, why = "non-strict", str(reason)
    except Exception as error:
        outcome, why = "FAILED", f"{type(error).__name__}: {error}"
    return outcome, why, time.monotonic() - started


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--full", action="store_true", help="all lengths and numbers as they are published")
    parser.add_argument("--only", default="", help="cases whose number begins so")
    parser.add_argument("--quiet", action="store_true", help="no lines for what passes")
    options = parser.parse_args()
    world = World(options.host, options.port, options.full)
    counts = {"pass": 0, "non-strict": 0, "FAILED": 0}
    started = time.monotonic()
    for number in sorted((one for one in CASES if one.startswith(options.only)), key=order):
        outcome, why, seconds = result(number, world)
        counts[outcome] += 1
        if outcome != "pass" or not options.quiet:
            print(f"{number:<9} {outcome:<11} {seconds * 1000:7.0f} ms  {why}", flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items())
          + f" of {sum(counts.values())} in {time.monotonic() - started:.0f} s")
    return 1 if counts["FAILED"] or not sum(counts.values()) else 0


sys.exit(main())
