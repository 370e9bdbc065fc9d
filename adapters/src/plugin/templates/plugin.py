#!/usr/bin/env python3
"""A plug-in for Primrack, version 1 of its protocol. See PROTOCOL.md. Needs nothing beyond Python 3.9.

Its machines are processes that sleep, one for each name in the setting `machines`. Replace what is in the class
Machine. It answers several requests at once and tells every change by an event.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ACTIONS = ["start", "soft-off", "hard-off", "pause", "resume"]
STATE = Path(os.environ.get("STATE", f"{os.environ.get('TMPDIR', '/tmp')}/primrack-plugin-{os.getuid()}"))


class Fault(Exception):
    """What a request is answered with instead: a kind from PROTOCOL.md and words for people."""

    def __init__(self, kind, words):
        super().__init__(words)
        self.kind = kind


class Machine:
    """One machine. What it has to remember is in a file, so that the next plug-in finds it."""

    def __init__(self, name):
        self.name = name
        self.lock = threading.Lock()
        self.file = STATE / f"{name}.json"
        self.log = STATE / f"{name}.log"
        try:
            self.kept = json.loads(self.file.read_text())
        except (OSError, ValueError):
            self.kept = {"pid": None, "asked": True, "intents": []}

    def keep(self):
        following = self.file.with_suffix(".next")
        following.write_text(json.dumps(self.kept))
        following.replace(self.file)

    def letter(self):
        """The state letter of its process; None if it does not run."""
        pid = self.kept["pid"]
        try:
            head, _, tail = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")
        except OSError:
            return None
        # A number may belong to another program by now, and Z has ended already.
        ours = head.endswith("(sleep") or head.endswith("(sh")
        return tail[0] if ours and tail[0] not in "ZX" else None

    def state(self):
        letter = self.letter() if self.kept["pid"] else None
        if letter == "T":
            return {"power": "paused"}
        if letter:
            return {"power": "on", "detail": f"process {self.kept['pid']}"}
        if self.kept["asked"]:
            return {"power": "off", "cause": "operator"} if self.kept["pid"] else {"power": "off"}
        return {"power": "crashed", "cause": "crash"}

    def execute(self, action, intent):
        with self.lock:
            if intent in self.kept["intents"]:
                return
            power = self.state()["power"]
            if action == "start":
                if power in ("on", "paused"):
                    raise Fault("refused", f"{self.name} runs already")
                with open(self.log, "ab") as log:
                    # In a session of its own: it outlives this program.
                    child = subprocess.Popen(
                        ["sh", "-c", "echo up; exec sleep 1000000"],
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    )
                # Takes notice of its end, so that no zombie stays.
                threading.Thread(target=child.wait, daemon=True).start()
                self.kept.update(pid=child.pid, asked=False)
            elif action in ("soft-off", "hard-off", "pause", "resume"):
                if power not in ("on", "paused"):
                    raise Fault("refused", f"{self.name} does not run")
                self.kept["asked"] = self.kept["asked"] or action.endswith("off")
                self.keep()
                one = {"soft-off": "TERM", "hard-off": "KILL", "pause": "STOP", "resume": "CONT"}[action]
                os.kill(self.kept["pid"], getattr(signal, f"SIG{one}"))
                if action == "soft-off":
                    os.kill(self.kept["pid"], signal.SIGCONT)
            else:
                raise Fault("not-supported", f"this plug-in has no action {action}")
            self.kept["intents"] = [*self.kept["intents"][-31:], intent]
            self.keep()


class Plugin:
    def __init__(self):
        self.machines = {}
        self.writing = threading.Lock()

    def say(self, **line):
        text = json.dumps(line) + "\n"
        with self.writing:
            sys.stdout.write(text)
            sys.stdout.flush()

    def find(self, address):
        try:
            return self.machines[address]
        except KeyError:
            raise Fault("not-found", f"there is no {address}") from None

    def hello(self, asked):
        if 1 not in asked["versions"]:
            raise Fault("not-supported", "this plug-in speaks version 1 only")
        STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = asked.get("settings", {}).get("machines", ["alpha", "beta"])
        self.machines = {name: Machine(name) for name in names}
        return {"version": 1, "name": "sleepers", "actions": ACTIONS, "events": True, "at_once": 8}

    def list(self, _):
        return {"machines": [{"address": name, "state": one.state()} for name, one in self.machines.items()]}

    def observe(self, asked):
        return {"state": self.find(asked["address"]).state()}

    def execute(self, asked):
        self.find(asked["address"]).execute(asked["action"], asked["intent"])
        return {"ok": True}

    def console(self, asked):
        log = self.find(asked["address"]).log
        return {"text": log.read_bytes()[-65536:].decode("utf-8", "replace") if log.exists() else ""}

    def ping(self, _):
        return {"ok": True}

    def watch(self):
        """Tells every change. A real one would wait for its backend's own events."""
        told = {}
        while True:
            for name, machine in self.machines.items():
                state = machine.state()
                if told.get(name) != state:
                    told[name] = state
                    self.say(event="state", address=name, state=state)
            time.sleep(0.05)

    def answer(self, asked):
        what = {"hello": self.hello, "list": self.list, "observe": self.observe,
                "execute": self.execute, "console": self.console, "ping": self.ping}.get(asked.get("do"))
        try:
            if what is None:
                raise Fault("not-supported", "this plug-in does not know that")
            self.say(id=asked["id"], **what(asked))
        except Fault as fault:
            self.say(id=asked["id"], error=fault.kind, words=str(fault))
        except Exception as error:  # whatever it is, the request gets an answer
            print(f"{asked.get('do')}: {error!r}", file=sys.stderr, flush=True)
            self.say(id=asked["id"], error="unreachable", words=f"the plug-in failed inside: {error}")

    def run(self):
        waiting = queue.Queue()
        for _ in range(8):
            threading.Thread(target=lambda: [self.answer(one) for one in iter(waiting.get, None)], daemon=True).start()
        for line in sys.stdin:
            asked = json.loads(line)
            if asked.get("do") == "shutdown":
                self.say(id=asked["id"], ok=True)
                return
            if asked.get("do") == "hello":
                self.answer(asked)
                threading.Thread(target=self.watch, daemon=True).start()
            else:
                waiting.put(asked)


if __name__ == "__main__":
    Plugin().run()
