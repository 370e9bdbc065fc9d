#!/usr/bin/env python3
"""Derives our function, event and constant tables from the grids' own declarations.

usage: derive.py DATA_DIR   (a folder with lsl_definitions.yaml, opensim_functions.tsv, opensim_constants.tsv)

Only facts are kept: names, types, argument names, values, forced sleeps, which grid has what.
Needs PyYAML. The output is committed; nobody needs to run this to build the crate.
"""
import os
import re
import sys

import yaml

DATA = sys.argv[1]
HERE = os.path.dirname(os.path.abspath(__file__))
LETTER = {"0.9.2.2": "2", "0.9.3.0": "3", "master": "m"}
ORDER = "s23m"

# Forced sleeps of OpenSimulator, in seconds, where a function has one; all other functions there return at once.
OPENSIM_SLEEP = {}
for line in """
0.025 osMessageObject
0.1 llMakeExplosion llMakeFountain llMakeSmoke llMakeFire llRezObject llRezAtRoot llRezObjectWithParams llRequestAgentData
0.1 llAdjustSoundVolume llLinkAdjustSoundVolume llRequestUserKey llAddToLandPassList llAddToLandBanList
0.1 llRemoveFromLandPassList llRemoveFromLandBanList llResetLandBanList llResetLandPassList
0.1 llGetNumberOfNotecardLines llGetNotecardLine llRequestUsername llRequestDisplayName
0.2 llSetTexture llSetLinkTexture llScaleTexture llOffsetTexture llRotateTexture llSetPos llSetRot llSetLocalRot
0.2 llSetPrimitiveParams llSetLinkPrimitiveParams
0.3 llXorBase64Strings
1 llPreloadSound llCreateLink llRequestInventoryData llTextBox llDialog llEjectFromLand llOpenRemoteDataChannel
1 llCloseRemoteDataChannel llGetPrimMediaParams llGetLinkMedia llSetPrimMediaParams llSetLinkMedia llClearPrimMedia
1 llClearLinkMedia llRequestSimulatorData llLoadURL llModPow llMapDestination llMapBeacon osGetRegionMapTexture osPreloadSound
2 llInstantMessage llSetParcelMusicURL llParcelMediaCommandList llParcelMediaQuery llSetPrimURL llGetParcelPrimOwners
3 llGiveInventory llGiveInventoryList llRemoteLoadScript llRemoteLoadScriptPin llSendRemoteData llRemoteDataReply
3 osGiveLinkInventory osGiveLinkInventoryList
5 llTeleportAgentHome osTeleportAgent
20 llEmail llTargetedEmail llRefreshPrimURL
""".strip().splitlines():
    seconds, *names = line.split()
    for name in names:
        OPENSIM_SLEEP[name] = float(seconds)


def letters(versions):
    found = {LETTER[v] for v in versions.split()}
    return "".join(c for c in ORDER if c in found)


def number(x):
    return f"{x:g}"


with open(os.path.join(DATA, "lsl_definitions.yaml"), encoding="utf-8") as f:
    sl = yaml.safe_load(f)

# ---- functions ----
rows = {}
for name, d in sl["functions"].items():
    args = [(v["type"], k) for a in d["arguments"] for k, v in a.items()]
    key = (name, d["return"], tuple(t for t, _ in args))
    sleep = d.get("mono-sleep", d["sleep"])
    rows[key] = {"args": args, "grids": "s", "sl": sleep, "os": 0.0}
with open(os.path.join(DATA, "opensim_functions.tsv"), encoding="utf-8") as f:
    for line in f:
        if line.startswith("#"):
            continue
        name, ret, args, versions = (line.rstrip("\n").split("\t") + ["", ""])[:4]
        args = [tuple(a.split(None, 1)) for a in args.split(", ") if a]
        key = (name, ret or "void", tuple(t for t, _ in args))
        row = rows.setdefault(key, {"args": args, "grids": "", "sl": 0.0, "os": 0.0})
        have = set(row["grids"]) | set(letters(versions))
        row["grids"] = "".join(c for c in ORDER if c in have)
        row["os"] = OPENSIM_SLEEP.get(name, 0.0)
# Functions of the simulator's other two interfaces, ILS_Api and IMOD_Api, which the data set leaves out. YEngine takes
# whatever its script class has (AddInterfaceMethods), so that they compile in every version; modInvoke… takes any number of
# arguments and has no place in a table of signatures.
for name, ret, args in [
    ("lsClearWindlightScene", "void", []),
    ("lsGetWindlightScene", "list", [("list", "rules")]),
    ("lsSetWindlightScene", "integer", [("list", "rules")]),
    ("lsSetWindlightSceneTargeted", "integer", [("list", "rules"), ("key", "target")]),
    ("modSendCommand", "string", [("string", "module"), ("string", "command"), ("string", "k")]),
]:
    rows[(name, ret, tuple(t for t, _ in args))] = {"args": args, "grids": "23m", "sl": 0.0, "os": 0.0}
with open(os.path.join(HERE, "functions.tsv"), "w", encoding="utf-8") as out:
    out.write("# name\tresult\targuments\tgrids\tsleep on Second Life\tsleep in OpenSimulator\n")
    for (name, ret, _), r in sorted(rows.items(), key=lambda kv: (kv[0][0], len(kv[0][2]), kv[0])):
        args = ", ".join(f"{t} {n}" for t, n in r["args"])
        out.write(f"{name}\t{ret}\t{args}\t{r['grids']}\t{number(r['sl'])}\t{number(r['os'])}\n")

# ---- events ----
ONLY_SL = {"experience_permissions", "experience_permissions_denied", "final_damage", "game_control", "on_damage", "on_death"}
FROM_093 = {"linkset_data"}
with open(os.path.join(HERE, "events.tsv"), "w", encoding="utf-8") as out:
    out.write("# name\targuments\tgrids\n")
    events = {n: [(v["type"], k) for a in d["arguments"] for k, v in a.items()] for n, d in sl["events"].items()}
    grids = {n: "s" if n in ONLY_SL else "s3m" if n in FROM_093 else "s23m" for n in events}
    events["region_cross"] = [("vector", "newpos"), ("vector", "oldpos")]
    grids["region_cross"] = "m"
    for n in sorted(events):
        out.write(f"{n}\t{', '.join(f'{t} {a}' for t, a in events[n])}\t{grids[n]}\n")

# ---- constants ----
ESC = {"\n": "\\n", "\t": "\\t", "\\": "\\\\", '"': '\\"'}


def quote(text):
    return '"' + "".join(ESC.get(c, c if 32 <= ord(c) < 127 else f"\\u{{{ord(c):04X}}}") for c in text) + '"'


def unescape(text):
    def one(m):
        e = m.group(0)
        if e == "\\n":
            return "\n"
        return chr(int(re.sub(r"[^0-9A-Fa-f]", "", e[2:]), 16))

    return re.sub(r"\\n|\\x[0-9A-Fa-f]{2}|\\u\{[0-9A-Fa-f]+\}|\\u[0-9A-Fa-f]{4}", one, text)


def vector(text):
    return "<" + ", ".join(number(float(n)) for n in re.findall(r"-?\d+\.?\d*", text)) + ">"


def wrap32(n):
    n &= 0xFFFFFFFF
    return n - (1 << 32) if n & 0x80000000 else n


values = {}  # (name, type, text) -> grids


def add(name, kind, text, have):
    key = (name, kind, text)
    values[key] = "".join(c for c in ORDER if c in set(values.get(key, "")) | set(have))


for name, d in sl["constants"].items():
    v = d["value"]
    kind = d["type"]
    if kind == "integer":
        add(name, kind, str(wrap32(int(v, 0) if isinstance(v, str) else v)), "s")
    elif kind == "float":
        add(name, kind, repr(float(v)), "s")
    elif kind == "string":
        add(name, kind, quote(unescape(v)), "s")
    else:
        add(name, kind, vector(v), "s")

raw = {}
with open(os.path.join(DATA, "opensim_constants.tsv"), encoding="utf-8") as f:
    for line in f:
        if line.startswith("#"):
            continue
        name, kind, v, versions = line.rstrip("\n").split("\t")
        raw[name] = v
        have = letters(versions)
        if kind in ("int", "LSLInteger"):
            total = 0
            for part in v.split("|"):
                part = part.strip()
                total |= int(raw.get(part, part), 0)
            add(name, "integer", str(wrap32(total)), have)
        elif kind == "double":
            add(name, "float", repr(float(v.rstrip("f"))), have)
        elif kind == "string":
            add(name, "string", quote(unescape(v[1:-1])), have)
        else:
            add(name, kind, "<0, 0, 0>" if v == "ZERO_VECTOR" else vector(v[v.index("("):]), have)
with open(os.path.join(HERE, "constants.tsv"), "w", encoding="utf-8") as out:
    out.write("# name\ttype\tvalue\tgrids\n")
    for (name, kind, text), have in sorted(values.items()):
        out.write(f"{name}\t{kind}\t{text}\t{have}\n")
