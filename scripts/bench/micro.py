#!/usr/bin/env python3
"""Prints what criterion has measured, in the order in which it did: micro.py FOLDER_OF_CRITERION < its output."""

import json
import os
import re
import sys

print("| what | median | 95 % of medians |")
print("|---|---|---|")
for name in re.findall(r"^(\S.*?)\s*\n?\s+time: ", sys.stdin.read(), re.M):
    with open(os.path.join(sys.argv[1], name.replace("/", "_"), "new", "estimates.json")) as file:
        median = json.load(file)["median"]
    low, high = (median["confidence_interval"][bound] for bound in ("lower_bound", "upper_bound"))
    print(f"| {name} | {median['point_estimate']:,.1f} ns | {low:,.1f} to {high:,.1f} ns |")
