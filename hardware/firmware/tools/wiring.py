#!/usr/bin/env python3
"""Draws wiring/<board>.svg from src/boards/<board>.h, and refuses what cannot work.

usage: wiring.py [--check] BOARD...        --check draws nothing, and fails too when a picture is older than its board's file

Pins are drawn in the order of the parts, not as they lie on the board: the number beside a pin is what is printed there.
"""
import pathlib
import re
import sys
from xml.sax.saxutils import escape

ROOT = pathlib.Path(__file__).resolve().parents[1]

BOARDS = {
    "uno": dict(title="Arduino Uno", spi=("13", "11", "12"), i2c=("A4", "A5"), port_b=range(8, 14), reserved={"0", "1"},
                pins=[str(n) for n in range(14)] + [f"A{n}" for n in range(6)], analog_only=()),
    "nano": dict(title="Arduino Nano", spi=("13", "11", "12"), i2c=("A4", "A5"), port_b=range(8, 14), reserved={"0", "1"},
                 pins=[str(n) for n in range(14)] + [f"A{n}" for n in range(8)], analog_only=("A6", "A7")),
    "mega": dict(title="Arduino Mega 2560", spi=("52", "51", "50"), i2c=("20", "21"), port_b=(10, 11, 12, 13, 50, 51, 52, 53), reserved={"0", "1"},
                 pins=[str(n) for n in range(54)] + [f"A{n}" for n in range(16)], analog_only=()),
}

# What is printed on the part -> number of the setting that is its pin, or a pin with a name. Then a note.
KINDS = {
    "RC522": ([("SDA", 0), ("RST", 1), ("SCK", "SCK"), ("MOSI", "MOSI"), ("MISO", "MISO"), ("3.3V", "3V3"), ("GND", "GND")],
              "3.3 V only: 5 V at its supply kills it"),
    "WIEGAND": ([("D0", 0), ("D1", 1), ("GND", "GND")], "reader has a supply of its own; join the grounds"),
    "RDM6300": ([("TX", 0), ("5V", "5V"), ("GND", "GND")], "or ID-12LA: D0, ASCII format"),
    "BUTTON": ([("contact", 0), ("contact", "GND")], "no resistor needed"),
    "ANALOG": ([("signal", 0), ("5V", "5V"), ("GND", "GND")], "e.g. photoresistor to 5 V, 10 k to GND"),
    "RELAY": ([("IN", 0), ("VCC", "5V"), ("GND", "GND")], "a module with its own transistor"),
    "LAMP": ([("red", 0), ("yellow", 1), ("green", 2), ("GND", "GND")], "LED with 330 ohm, or a transistor each"),
    "LOCK": ([("signal", 0), ("+", "5V"), ("-", "GND")], "servo; a supply of its own for strong ones"),
    "BUZZER": ([("+", 0), ("-", "GND")], "passive piezo"),
    "LCD_I2C": ([("SDA", "SDA"), ("SCL", "SCL"), ("VCC", "5V"), ("GND", "GND")], "PCF8574 backpack"),
    "LCD_PINS": ([("RS", 0), ("E", 1), ("D4", 2), ("D5", 3), ("D6", 4), ("D7", 5), ("RW", "GND"), ("VSS", "GND"), ("VDD", "5V")], "VO: 10 k trimmer, contrast"),
    "PIXELS": ([("DIN", 0), ("5V", "5V"), ("GND", "GND")], "330 ohm before DIN"),
}
PIN_SETTINGS = {k: [p for _, p in signals if isinstance(p, int)] for k, (signals, _) in KINDS.items()}
COLOURS = {"5V": "#c0392b", "3V3": "#d35400", "GND": "#2c3e50"}
WIRES = ["#2471a3", "#1e8449", "#7d3c98", "#b7950b", "#a04000", "#117a65"]


def parts_of(board):
    text = (ROOT / f"src/boards/{board}.h").read_text()
    text = re.sub(r"//[^\n]*", "", text).replace("\\\n", " ")
    found = []
    for group in ("READERS", "BUTTONS", "ANALOGS", "OUTPUTS"):
        line = re.search(rf"#define PRIMRACK_{group}\(X\)([^\n]*)", text)
        if not line:
            raise SystemExit(f"{board}.h: PRIMRACK_{group}(X) is missing")
        for kind, name, settings in re.findall(r"X\(\s*(\w+)\s*,\s*(\w+)\s*,?([^)]*)\)", line.group(1)):
            found.append((group, kind, name, [s.strip() for s in settings.split(",") if s.strip()]))
    return found


def check(board, parts):
    b = BOARDS[board]
    wrong = []
    used = {}
    for _, kind, name, settings in parts:
        if kind not in KINDS:
            wrong.append(f"{name}: no such kind {kind}; there are {', '.join(sorted(KINDS))}")
            continue
        pins = [settings[i] for i in PIN_SETTINGS[kind] if i < len(settings)]
        if len(pins) < len(PIN_SETTINGS[kind]):
            wrong.append(f"{name}: {kind} needs {len(PIN_SETTINGS[kind])} pins, has {len(pins)}")
        if kind == "RC522":
            pins += [(p, "SPI") for p in b["spi"]]
        if kind == "LCD_I2C":
            pins += [(p, "I2C") for p in b["i2c"]]
        for p in pins:
            p, bus = p if isinstance(p, tuple) else (p, None)
            if p not in b["pins"]:
                wrong.append(f"{name}: a {b['title']} has no pin {p}")
            elif p in b["reserved"]:
                wrong.append(f"{name}: pin {p} is the line to the host")
            elif p in b["analog_only"] and kind != "ANALOG":
                wrong.append(f"{name}: pin {p} can only measure")
            if p in used and not (bus and used[p][1] == bus):
                wrong.append(f"{name}: pin {p} already belongs to {used[p][0]}")
            used.setdefault(p, (name, bus))
        if kind == "ANALOG" and pins and not pins[0].startswith("A"):
            wrong.append(f"{name}: pin {pins[0]} cannot measure; take one of A0 ...")
        if kind == "WIEGAND" and pins != ["2", "3"]:
            wrong.append(f"{name}: D0 and D1 must be pins 2 and 3")
        if kind == "RDM6300" and pins and not (pins[0].isdigit() and int(pins[0]) in b["port_b"]):
            wrong.append(f"{name}: the RDM6300 must be on one of {', '.join(map(str, b['port_b']))}")
    if any(k == "RC522" for _, k, _, _ in parts):
        ss = "53" if board == "mega" else "10"
        owner = used.get(ss)
        if owner and not any(k == "RC522" and ss in s for _, k, _, s in parts) and any(n == owner[0] and g != "OUTPUTS" for g, _, n, _ in parts):
            wrong.append(f"{owner[0]}: pin {ss} must be an output while SPI is in use")
    if wrong:
        raise SystemExit("\n".join(f"src/boards/{board}.h: {w}" for w in wrong))


def draw(board, parts):
    b = BOARDS[board]
    names = dict(zip(("SCK", "MOSI", "MISO"), b["spi"])) | dict(zip(("SDA", "SCL"), b["i2c"]))
    row, pad = 22, 58
    board_x, board_w, box_w, wire = 440, 200, 270, 130
    width = 2 * board_x + board_w

    def boxes(side):
        y = 96
        for part in parts:
            if (part[0] == "OUTPUTS") == (side == "right"):
                signals = KINDS[part[1]][0]
                yield y, part, signals
                y += len(signals) * row + pad
    left, right = list(boxes("left")), list(boxes("right"))
    height = max([y + len(s) * row + pad for y, _, s in left + right]) + 34
    counts = {"READERS": 0, "BUTTONS": 0, "ANALOGS": 0, "OUTPUTS": 0}
    word = {"READERS": "reader", "BUTTONS": "button", "ANALOGS": "analogue", "OUTPUTS": "output"}

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
           f"<title>{b['title']}: wiring of the gateway</title>",
           f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
           f'<text x="{width / 2}" y="34" text-anchor="middle" font-size="20" fill="#1b2631">{b["title"]}: wiring of the gateway</text>',
           f'<text x="{width / 2}" y="56" text-anchor="middle" fill="#566573">drawn from src/boards/{board}.h; pins in the order of the parts; the line to the host is USB (pins 0 and 1)</text>',
           f'<rect x="{board_x}" y="72" width="{board_w}" height="{height - 106}" rx="10" fill="#e8f6f3" stroke="#0e6655" stroke-width="2"/>',
           f'<text x="{width / 2}" y="90" text-anchor="middle" font-weight="bold" fill="#0e6655">{b["title"]}</text>']
    colour = 0
    for y, (group, kind, name, settings), signals in left + right:
        is_left = group != "OUTPUTS"
        x = board_x - wire - box_w if is_left else board_x + board_w + wire
        h = len(signals) * row + 46
        number = counts[group]
        counts[group] += 1
        out.append(f'<rect x="{x}" y="{y}" width="{box_w}" height="{h}" rx="6" fill="#fdfefe" stroke="#34495e"/>')
        out.append(f'<text x="{x + 10}" y="{y + 17}" font-weight="bold" fill="#1b2631">{escape(name)}</text>')
        out.append(f'<text x="{x + box_w - 10}" y="{y + 17}" text-anchor="end" fill="#566573">{kind} · {word[group]} {number}</text>')
        note = KINDS[kind][1] + (f", address {settings[0]}" if kind == "LCD_I2C" else "")
        out.append(f'<text x="{x + 10 if is_left else x + box_w - 10}" y="{y + h - 8}" text-anchor="{"start" if is_left else "end"}" font-size="11" '
                   f'fill="#7b241c">{escape(note)}</text>')
        for k, (label, pin) in enumerate(signals):
            sy = y + 30 + k * row + 4
            pin = settings[pin] if isinstance(pin, int) else names.get(pin, pin)
            if pin in COLOURS:
                c = COLOURS[pin]
            else:
                c = WIRES[colour % len(WIRES)]
                colour += 1
            x1, x2 = (x + box_w, board_x) if is_left else (board_x + board_w, x)
            out.append(f'<line x1="{x1}" y1="{sy}" x2="{x2}" y2="{sy}" stroke="{c}" stroke-width="2.5"/>')
            out.append(f'<circle cx="{x1}" cy="{sy}" r="3.5" fill="{c}"/><circle cx="{x2}" cy="{sy}" r="3.5" fill="{c}"/>')
            bx, anchor = (board_x + 10, "start") if is_left else (board_x + board_w - 10, "end")
            shown = {"3V3": "3.3V"}.get(pin, pin)
            out.append(f'<text x="{bx}" y="{sy + 4}" text-anchor="{anchor}" font-weight="bold" fill="{c}">{shown}</text>')
            px, panchor = (x + box_w - 10, "end") if is_left else (x + 10, "start")
            out.append(f'<text x="{px}" y="{sy + 4}" text-anchor="{panchor}" fill="#1b2631">{label}</text>')
    out.append(f'<text x="{width / 2}" y="{height - 12}" text-anchor="middle" font-size="12" fill="#566573">'
               "All grounds are joined. Relays, servos and pixels draw more than USB gives: feed them from their own 5 V.</text>")
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    args = sys.argv[1:]
    only_check = "--check" in args
    for board in [a for a in args if a != "--check"]:
        parts = parts_of(board)
        check(board, parts)
        picture = draw(board, parts)
        path = ROOT / f"wiring/{board}.svg"
        if not only_check:
            path.write_text(picture)
        elif not path.exists() or path.read_text() != picture:
            raise SystemExit(f"wiring/{board}.svg is not what src/boards/{board}.h says: make wiring")
    print("wiring: " + ", ".join(a for a in args if a != "--check") + (" as drawn" if only_check else " drawn"))


main()
