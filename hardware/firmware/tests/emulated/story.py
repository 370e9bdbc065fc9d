#!/usr/bin/env python3
"""Runs the gateway's real firmware in the emulator and plays a host and a maker: badges, pins, leases, resets, a deaf reader, noise.

usage: story.py uno|nano|mega [firmware.elf]          SLACK=3 in the environment: limits of time three times as wide, for a busy machine

Everything is simulated, in real time (about 40 s). Prints one line for each thing seen, with figures, and ends with status 1 at the first that
is not as PROTOCOL.md says. Needs ../emulator built (make) and nothing but Python's standard library.
"""
import os
import pathlib
import queue
import random
import select
import subprocess
import sys
import tempfile
import termios
import threading
import time
import tty

HERE = pathlib.Path(__file__).resolve().parent
HARDWARE = HERE.parents[2]
BOARD = sys.argv[1]
ELF = sys.argv[2] if len(sys.argv) > 2 else str(HARDWARE / f"firmware/build/{BOARD}/gateway.elf")
MEGA = BOARD == "mega"
LATCH_PIN = 22 if MEGA else 5
GREEN_PIN = 26 if MEGA else "A3"
OUT = dict(latch=0, tower=2, bolt=3, siren=4, screen=5, glow=6) if MEGA else dict(latch=0, tower=1, bolt=2, siren=3, screen=4, glow=5)
WG, RDM = (2, 3) if MEGA else (1, 2)
LIGHT = "A7" if BOARD == "nano" else "A0"
SLACK = float(os.environ.get("SLACK", "1"))
EVENTS = ("tag", "wg", "sun", "btn", "val", "out", "part", "lost")


def crc(data):
    c = 0xFFFF
    for b in data:
        c ^= b
        for _ in range(8):
            c = (c >> 1) ^ 0x8408 if c & 1 else c >> 1
    return c


def frame(body):
    b = body.encode()
    return b"~" + b + b"*%04X\n" % crc(b)


class Emulator:
    def __init__(self, folder):
        self.link = folder + "/board"
        self.p = subprocess.Popen(
            [str(HARDWARE / "emulator/build/primrack-board-emulator"), "--board", BOARD, "--eeprom", folder + "/eeprom",
             "--wiring", str(HARDWARE / f"emulator/wiring/{BOARD}.txt"), ELF, self.link],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.lines = queue.Queue()
        self.edges = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for raw in iter(self.p.stdout.readline, b""):
            w = raw.decode().rstrip("\n").split(" ", 2)
            if len(w) == 3:
                self.edges += w[2].startswith("pin ")
                self.lines.put((int(w[0]) / 1e9 if len(w[0]) > 12 else int(w[1]) / 1e9, w[2]))

    def do(self, command):
        self.p.stdin.write(b"@c " + command.encode() + b"\n")
        while True:
            at, line = self.lines.get(timeout=5)
            if line.startswith("error:"):
                raise SystemExit(f"emulator: {command}: {line}")
            if line.startswith("ok @c"):
                return line[6:]

    def wait(self, text, seconds):
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return None
            try:
                at, line = self.lines.get(timeout=left)
            except queue.Empty:
                return None
            if line.startswith(text):
                return at


class Host:
    """Answers events; keeps what it heard with the time."""

    def __init__(self, link):
        for _ in range(100):
            if os.path.exists(link):
                break
            time.sleep(0.02)
        self.fd = os.open(link, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)
        a = termios.tcgetattr(self.fd)
        a[4] = a[5] = termios.B115200
        termios.tcsetattr(self.fd, termios.TCSANOW, a)
        self.buf = b""
        self.seq = 0
        self.heard = queue.Queue()
        self.bad = 0
        self.pinging = True
        self.seen = set()
        self.events = []
        self.lock = threading.Lock()
        self.stop = False
        threading.Thread(target=self._run, daemon=True).start()

    def write(self, data):
        with self.lock:
            self.wrote = time.monotonic()
            while data:
                n = os.write(self.fd, data)
                data = data[n:]

    def _run(self):
        last = time.monotonic()
        while not self.stop:
            r, _, _ = select.select([self.fd], [], [], 0.02)
            now = time.monotonic()
            if self.pinging and now - last > 0.5:
                last = now
                self.write(frame("0 ping"))
            if not r:
                continue
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                return
            if not data:
                return
            self.buf += data
            while b"\n" in self.buf:
                line, self.buf = self.buf.split(b"\n", 1)
                at = line.rfind(b"~")
                if at < 0:
                    continue
                body, _, sum_ = line[at + 1:].partition(b"*")
                if sum_ != b"%04X" % crc(body):
                    self.bad += 1
                    continue
                w = body.decode().split(" ")
                if os.environ.get("SHOW"):
                    print("      ", line.decode("latin1"))
                if w[1] in EVENTS and w[0] != "0":
                    self.write(frame(w[0] + " got"))
                    if w[0] in self.seen:
                        continue
                    self.seen.add(w[0])
                    self.events.append(w)
                self.heard.put((now, w))

    def send(self, body):
        self.write(frame(body))

    def ask(self, body, patience=3.0):
        """Sends a request again until it is answered, as PROTOCOL.md, 6. Returns the answer's words and the seconds."""
        self.seq = self.seq % 65535 + 1
        s = str(self.seq)
        start = time.monotonic()
        wait = 0.06
        while time.monotonic() - start < patience:
            self.send(s + " " + body)
            end = time.monotonic() + wait
            while True:
                left = end - time.monotonic()
                if left <= 0:
                    break
                try:
                    at, w = self.heard.get(timeout=left)
                except queue.Empty:
                    break
                if w[0] == s and w[1] in ("ok", "no", "is", "stats"):
                    return w[1:], at - start
            wait = min(wait * 2, 0.5)
        return ["silence"], patience

    def wait(self, verb, seconds, *words):
        end = time.monotonic() + seconds
        while True:
            left = end - time.monotonic()
            if left <= 0:
                return None
            try:
                at, w = self.heard.get(timeout=left)
            except queue.Empty:
                return None
            if w[1] == verb and all(x in w[2:] for x in words):
                return at, w

    def drain(self):
        while not self.heard.empty():
            self.heard.get()


def check(fine, what):
    print(("  ok   " if fine else "  BAD  ") + what, flush=True)
    if not fine:
        raise SystemExit(1)


def figures(seconds):
    s = sorted(x * 1000 for x in seconds)
    return f"p50 {s[len(s) // 2]:.1f} ms, p99 {s[int(len(s) * 0.99)]:.1f} ms, max {s[-1]:.1f} ms (n = {len(s)})"


def p99(seconds):
    return sorted(seconds)[int(len(seconds) * 0.99)]


def main():
    print(f"{BOARD}: simulated board, real firmware, real time")
    with tempfile.TemporaryDirectory() as folder:
        emu = Emulator(folder)
        try:
            story(emu, Host(emu.link))
        finally:
            emu.p.stdin.write(b"quit\n")
            emu.p.wait(timeout=5)


def story(emu, host):
    host.send("0 who")
    hello = host.wait("hello", 3)
    check(hello is not None, "hello: " + " ".join(hello[1][2:]) if hello else "hello")
    answer, _ = host.ask("hi 1 4711 3000")
    check(answer == ["ok", "4711"], "adopted")
    readers = 4 if MEGA else 3
    well = set()
    while len(well) < readers:
        seen = host.wait("part", 2, "ok")
        if seen is None:
            break
        well.add(seen[1][2])
    check(len(well) == readers, f"readers well: {sorted(well)}; damaged frames so far: {host.bad}")

    # Set to pin, set to acknowledgement.
    emu.do(f"watch {LATCH_PIN}")
    pin, ack = [], []
    for n in range(200):
        level = 1 - n % 2
        time.sleep(random.random() * 0.004)
        start = time.monotonic()
        answer, took = host.ask(f"set 0 {level} 0")
        check(answer == ["ok", str(level)], f"set {n}") if answer != ["ok", str(level)] else None
        ack.append(took)
        at = emu.wait(f"pin", 1)
        pin.append(at - start)
    check(p99(ack) <= 0.015 * SLACK, "set to answer: " + figures(ack))
    check(p99(pin) <= 0.010 * SLACK, "set to pin:    " + figures(pin))

    # Lease.
    start = time.monotonic()
    host.ask("set 0 1 500")
    up = emu.wait("pin", 1)
    down = emu.wait("pin", 1)
    check(0.495 <= down - up <= 0.506, f"a lease of 500 ms ended after {1000 * (down - up):.1f} ms")
    check(host.wait("out", 1, "0", "lease") is not None, "and was told")

    # Badges.
    took = []
    for n in range(40):
        uid = "04%012X" % random.getrandbits(48)
        time.sleep(random.random() * 0.05)
        host.drain()
        start = time.monotonic()
        emu.do(f"card 0 {uid} ntag213")
        seen = host.wait("tag", 1, uid)
        check(seen is not None, f"badge {uid}") if seen is None else None
        took.append(seen[0] - start)
        emu.do("card 0 none")
        time.sleep(0.3)
    check(sorted(took)[37] <= 0.1 * SLACK, "badge to event (RC522, NTAG213): " + figures(took))
    for uid in ("DEADBEEF", "0102030405060708090A"):
        emu.do(f"card 0 {uid} classic")
        check(host.wait("tag", 1, "0", uid) is not None, f"UID {uid}")
        emu.do("card 0 none")
        time.sleep(0.3)
    if MEGA:
        emu.do("card 1 04A1B2C3D4E5F6 ntag213")
        check(host.wait("tag", 1, "1", "04A1B2C3D4E5F6") is not None, "the second RC522")
        emu.do("card 1 none")
    start = time.monotonic()
    emu.do("card 0 04DE5F1EACC040 ntag424 uri https://example.org/b?picc_data=EF963FF7828658A599F3041510671E88&cmac=94EED9EE65337086")
    seen = host.wait("sun", 2, "75Y_94KGWKWZ8wQVEGceiJTu2e5lM3CG")
    check(seen is not None, f"NTAG 424 SUN message {1000 * (seen[0] - start) if seen else 0:.0f} ms after the card")
    emu.do("card 0 none")
    emu.do("wiegand 0 26 7BB26E")
    check(host.wait("wg", 1, str(WG), "26", "7BB26E") is not None, "Wiegand-26")
    emu.do("wiegand 0 34 7BB26E01")
    check(host.wait("wg", 1, str(WG), "34", "7BB26E01") is not None, "Wiegand-34")
    emu.do("wiegand 0 26 7BB26E bad")
    check(host.wait("wg", 0.3) is None, "Wiegand with bad parity gives nothing")
    emu.do("rdm 0 0012345678")
    check(host.wait("tag", 1, str(RDM), "0012345678") is not None, "RDM6300")
    time.sleep(0.8)
    emu.do("rdm 0 00AABBCCDD id12")
    check(host.wait("tag", 1, str(RDM), "00AABBCCDD") is not None, "ID-12LA")
    emu.do("rdm 0 0012345678 bad")
    check(host.wait("tag", 0.5) is None, "RDM6300 with a wrong sum gives nothing")
    # Under traffic from the host.
    laid = ["00%08X" % random.getrandbits(32) for _ in range(20)]
    for uid in laid:
        emu.do(f"rdm 0 {uid}")
        end = time.monotonic() + 0.12
        level = 0
        while time.monotonic() < end:
            level = 1 - level
            host.send(f"0 set {OUT['tower']} {level} 0")
            time.sleep(0.003)
    time.sleep(0.5)
    told = [w[4] for w in host.events if w[1] == "tag" and w[4] in laid]
    check(told == laid, f"RDM6300 under full traffic from the host: {len(told)} of {len(laid)}, in order, none twice")

    # Button, light.
    emu.do("button 4 press 3000 5")
    check(host.wait("btn", 1, "0", "1") is not None, "button pressed, bouncing")
    time.sleep(0.1)
    emu.do("button 4 release 3000 5")
    check(host.wait("btn", 1, "0") is not None, "button let go")
    check(host.wait("btn", 0.3) is None, "and no bounce told")
    emu.do(f"analog {LIGHT} 2500")
    seen = host.wait("val", 1, "0")
    check(seen is not None and 505 <= int(seen[1][4]) <= 519, "light: " + (" ".join(seen[1]) if seen else ""))

    # The other outputs.
    host.ask(f"set {OUT['tower']} 4 0")
    check(emu.do(f"read {GREEN_PIN}").endswith(" 1"), "green lamp")
    host.ask(f"set {OUT['siren']} 440 0")
    at = emu.wait("tone D7 4", 1)
    check(at is not None, "buzzer sounds at about 440 Hz")
    host.ask(f"set {OUT['siren']} 0 0")
    host.ask(f"set {OUT['bolt']} 1 0")
    time.sleep(0.3)
    check("2000" in emu.do("show servo 6") or "1999" in emu.do("show servo 6"), "servo lock: " + emu.do("show servo 6"))
    host.ask(f"txt {OUT['screen']} 0 Hello,_Primrack!")
    time.sleep(0.3)
    shown = emu.do("show lcd")
    check("Hello, Primrack!" in shown, "display: " + shown)
    if not MEGA:
        emu.do("i2c hang")
        took = []
        for n in range(50):
            host.ask(f"txt {OUT['screen']} 1 {n}")
            took.append(host.ask(f"set {OUT['tower']} {n % 8} 0")[1])
        check(p99(took) <= 0.015 * SLACK, "an I2C bus that hangs holds nothing up: " + figures(took))
        emu.do("i2c free")
        emu.do("i2c 27 away")
        host.ask(f"txt {OUT['screen']} 1 back_again")
        time.sleep(0.3)
        emu.do("i2c 27 here")
        time.sleep(1.5)
        shown = emu.do("show lcd")
        check("Hello, Primrack!|back again" in shown, "a display that was away shows everything again: " + shown)
    if BOARD != "uno":
        host.ask(f"set {OUT['glow']} {0xFF8001} 0")
        time.sleep(0.1)
        shown = emu.do("show pixels 27" if MEGA else "show pixels A0")
        check(shown.lower().count("ff8001") == 8, "pixels: " + shown)
        bad = host.bad
        for n in range(100):
            host.ask(f"set {OUT['glow']} {n} 0")
        answer, _ = host.ask("stat")
        check(host.bad == bad, "100 pixel updates under traffic lost nothing: stats " + " ".join(answer))

    # Deaf reader.
    emu.do("fault 0 deaf heals pin")
    start = time.monotonic()
    seen = host.wait("part", 2.5, "0")
    check(seen is not None and seen[0] - start < 2, f"deaf reader: {seen[1][3]} after {1000 * (seen[0] - start):.0f} ms")
    emu.do("fault 0 deaf heals never")
    seen = host.wait("part", 2.5, "0", "deaf")
    check(seen is not None, "a dead reader is told")
    emu.do("fault 0 none")
    check(host.wait("part", 2.5, "0", "healed") is not None, "healed when it is back")
    emu.do("fault 0 stuck")
    check(host.wait("part", 2.5, "0", "healed") is not None, "a reader whose commands never end is healed")
    emu.do("glitch 0")
    check(host.wait("part", 2.5, "0", "healed") is not None, "a reader that has lost its settings is healed")

    # Brown-out.
    host.ask("set 0 1 0")
    host.drain()
    host.seen.clear()
    start = time.monotonic()
    emu.do("brownout")
    hello = host.wait("hello", 2)
    check(hello is not None and hello[1][6] == "bod", f"brown-out: hello after {1000 * (hello[0] - start):.0f} ms, boot {hello[1][5]}")
    host.ask("hi 1 4712 3000")
    answer, _ = host.ask("set 0 1 0")
    took = time.monotonic() - start
    check(answer == ["ok", "1"] and took < 0.1 * SLACK, f"output as it should be after {1000 * took:.0f} ms")
    answer, _ = host.ask("stat")
    check(answer[1] == "1", "brown-outs counted: " + " ".join(answer))
    host.ask("id front-door")
    time.sleep(0.2)
    emu.do("reset ext")
    hello = host.wait("hello", 2, "front-door", "ext")
    check(hello is not None, "the name is kept: " + " ".join(hello[1][2:]))
    host.seen.clear()
    host.ask("hi 1 4713 3000")

    # Noise.
    host.ask("set 0 0 0")
    emu.do("noise in 20000")
    emu.wait("noise in ends", 10)
    start = time.monotonic()
    answer, _ = host.ask("set 0 1 0")
    check(answer == ["ok", "1"] and time.monotonic() - start < 0.5, f"after 20 kB of garbage: answered after {1000 * (time.monotonic() - start):.0f} ms")
    time.sleep(0.1)
    before = emu.edges
    emu.do("ber both 0.01")
    start = time.monotonic()
    for n in range(100):
        answer, _ = host.ask(f"set 0 {n % 2} 0", patience=20)
        check(answer == ["ok", str(n % 2)], f"set {n} with 1 % byte errors: {answer}") if answer != ["ok", str(n % 2)] else None
    took = time.monotonic() - start
    emu.do("ber both 0")
    time.sleep(0.2)
    edges = emu.edges - before
    check(edges == 100, f"1 % byte errors both ways: 100 sets, {edges} edges, {took:.1f} s; " + emu.do("stats"))

    # Unplugged while a badge is shown; the board keeps running.
    host.stop = True
    emu.do("unplug")
    emu.do("card 0 04AABBCCDDEEFF ntag213")
    time.sleep(1.0)
    emu.do("card 0 none")
    os.close(host.fd)
    emu.do("plug")
    start = time.monotonic()
    host = Host(emu.link)
    host.seq = 5000
    host.send("0 who")
    hello = host.wait("hello", 2)
    answer, _ = host.ask("hi 1 4714 3000")
    check(answer == ["ok", "4714"] and time.monotonic() - start < 0.25, f"unplugged and back: adopted after {1000 * (time.monotonic() - start):.0f} ms")
    time.sleep(0.4)
    late = [w for w in host.events if "04AABBCCDDEEFF" in w]
    check(len(late) == 1 and int(late[0][3]) > 700, "a badge shown meanwhile comes with its age: " + str(late))

    # Silence.
    host.ask("set 0 0 0")
    host.ask("set 0 1 0")
    host.pinging = False
    time.sleep(0.6)
    while emu.wait("pin", 0.01):
        pass
    at = emu.wait("pin", 4)
    check(at is not None and 2.9 <= at - host.wrote <= 3 + 0.1 * SLACK, f"host silent: relay off {at - host.wrote:.3f} s after its last byte")
    check(host.wait("hello", 3) is not None, "and hello again")
    print("  " + emu.do("stats"))
    print("  " + emu.do("ram"))


if __name__ == "__main__":
    main()
