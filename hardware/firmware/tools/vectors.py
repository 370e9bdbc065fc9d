#!/usr/bin/env python3
"""Writes the frozen vectors of the board protocol, version 1.

usage: vectors.py DIRECTORY      (DIRECTORY = hardware/link/tests/vectors)

Independent of both decoders: nothing here parses. What is expected is written beside each case by hand, only the CRC is computed.
The files are frozen; this script remains to show how they came about, and a test may check that it still writes the same.
"""
import os
import sys


def crc(data: bytes) -> int:
    c = 0xFFFF
    for b in data:
        c ^= b
        for _ in range(8):
            c = (c >> 1) ^ 0x8408 if c & 1 else c >> 1
    return c


def raw(body: bytes) -> bytes:
    return b"~" + body + b"*%04X" % crc(body)


def frame(body: str) -> bytes:
    return raw(body.encode())


assert crc(b"123456789") == 0x6F91  # check value of CRC-16/MCRF4XX
assert frame("7 tag 0 04A1B2C3D4E5F6") == b"~7 tag 0 04A1B2C3D4E5F6*5BCC"

OK = [
    ("# the example of the facts (older form without AGE): a frame is valid whatever its verb's arguments mean", None),
    "7 tag 0 04A1B2C3D4E5F6",
    ("# board to host", None),
    "0 hello 1 gw-1.0.0 board 1 por 127 r3b2a1o6",
    "0 hello 1 gw-1.0.0 front.door-1 65535 bod 9999 r0b0a0o1",
    "0 hello 2 gw-9.0.0 future 12 unk 64 r1b0a0o1",
    "1 tag 0 12 04A1B2C3D4E5F6", "2 tag 1 0 DEADBEEF", "3 tag 1 65535 0012345678", "65535 tag 9 250 0102030405060708090A",
    "4 wg 2 3 26 7BB26E", "5 wg 2 3 34 7BB26E01",
    "6 sun 0 41 75Y_94KGWKWZ8wQRBnEeiJTu2e5lM3CG", "65535 sun 9 65535 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "8 btn 0 0 1", "9 btn 1 15 0", "10 val 0 7 1023", "11 out 3 0 lease", "12 out 0 0 host", "13 out 1 16711680 hi", "14 out 2 0 reset",
    "15 part 0 deaf", "16 part 0 healed", "17 part 1 ok", "18 lost 3",
    "100 ok 1", "101 ok 16777215", "102 no verb", "103 no hi", "104 is 0 rc522 door", "105 is 6 relay latch", "106 stats 0 0 12 0 911",
    ("# host to board", None),
    "0 who", "1 hi 1 4711 3000", "0 hi 1 65535 500", "0 ping", "2 set 0 1 0", "3 set 0 1 500", "4 set 2 16777215 16777215", "65535 set 9 0 0",
    "5 txt 5 0 Hello,_world!", "6 txt 5 1 _", "7 txt 5 0 100%25_%7E%2A%5F", "8 part 0", "9 stat", "10 id front-door", "11 got", "0 bye",
    ("# edges of the grammar", None),
    "0 a", "1 abcdefgh", "2 x 1 2 3 4 5 6 7 8", "3 x !\"#$%&'()+,-./:;<=>?@[\\]^_`{}",
    "4 x " + "y" * (62 - 1 - 4 - 5),
    "65535 x " + "z" * (62 - 1 - 8 - 5),
    ("# verbs that nobody knows are valid frames", None),
    "9 zzz 1 2",
]

good = frame("7 tag 0 04A1B2C3D4E5F6")
BAD = [
    ("damaged: one bit", good.replace(b"A1", b"A3"), "crc"),
    ("damaged: CRC digit", good[:-1] + b"D", "crc"),
    ("CRC in lower case", good[:-4] + b"5bcc", "crc"),
    ("CRC with a sign", good[:-4] + b"+BCC", "crc"),
    ("CRC with a space", good[:-4] + b" BCC", "crc"),
    ("CRC of the wrong end", good[:-4] + b"CC5B", "crc"),
    ("CRC not hex", good[:-4] + b"5BCG", "crc"),
    ("two bytes swapped", good.replace(b"B2C3", b"C3B2"), "crc"),
    ("a byte lost", good.replace(b"04A1", b"4A1"), "crc"),
    ("a byte doubled", good.replace(b"04A1", b"004A1"), "crc"),
    ("CRC too short", good[:-1], "shape"),
    ("CRC too long", good + b"0", "shape"),
    ("no CRC", good[:-5], "shape"),
    ("nothing but ~", b"~", "shape"),
    ("nothing but CRC of nothing", b"~*FFFF", "shape"),
    ("only *", b"~*", "shape"),
    ("four bytes", b"~FFFF", "shape"),
    ("two *", raw(b"7 tag 0*0 04A1"), "shape"),
    ("* as an argument", raw(b"7 tag *"), "shape"),
    ("frame cut by another's end", good[:12] + good[-5:-2], "shape"),
    ("number only", raw(b"7"), "shape"),
    ("empty number", raw(b" tag"), "number"),
    ("a space only", raw(b" "), "number"),
    ("leading zero", raw(b"07 tag"), "number"),
    ("double zero", raw(b"00 tag"), "number"),
    ("number too great", raw(b"65536 tag"), "number"),
    ("number much too great", raw(b"4294967303 tag"), "number"),
    ("number 99999", raw(b"99999 tag"), "number"),
    ("sign", raw(b"+7 tag"), "number"),
    ("minus", raw(b"-7 tag"), "number"),
    ("hex number", raw(b"7A tag"), "number"),
    ("verb where the number belongs", raw(b"tag 0"), "number"),
    ("no verb", raw(b"7 "), "shape"),
    ("two spaces before the verb", raw(b"7  tag"), "shape"),
    ("two spaces between arguments", raw(b"7 tag 0  1"), "shape"),
    ("space at the end", raw(b"7 tag 0 "), "shape"),
    ("space after the verb", raw(b"7 tag "), "shape"),
    ("verb in upper case", raw(b"7 TAG"), "shape"),
    ("verb with a digit", raw(b"7 tag2"), "shape"),
    ("verb of nine letters", raw(b"7 abcdefghi"), "shape"),
    ("nine arguments", raw(b"7 x 1 2 3 4 5 6 7 8 9"), "shape"),
    ("63 bytes without newline", raw(b"4 x " + b"y" * (63 - 1 - 4 - 5)), "length"),
    ("200 bytes", raw(b"4 x " + b"y" * 190), "length"),
    ("bad byte at place 62", b"~" + b"y" * 60 + b"\x01", "char"),
    ("bad byte at place 63", b"~" + b"y" * 61 + b"\x01", "length"),
    ("NUL", raw(b"7 tag \x000"), "char"),
    ("TAB", raw(b"7 tag\t0"), "char"),
    ("DEL", raw(b"7 tag \x7f"), "char"),
    ("Latin-1", raw(b"7 tag \xe4"), "char"),
    ("UTF-8", raw("7 tag ä".encode()), "char"),
    ("CR inside", raw(b"7 tag\r 0"), "char"),
    ("two CR at the end", good + b"\r\r", "char"),
    ("FF flood", b"~" + b"\xff" * 8, "char"),
]

a = frame("1 set 0 1 500")
b = frame("2 set 1 0 0")
H = b"\n"


def ok(body: str) -> str:
    p = body.split(" ")
    return "ok:" + ":".join(p[:2]) + (":" + "|".join(p[2:]) if len(p) > 2 else "")


A, B = ok("1 set 0 1 500"), ok("2 set 1 0 0")


def text(t: bytes) -> str:
    return "text:" + t.hex().upper()


STREAM = [
    ("two frames", a + H + b + H, [A, B]),
    ("CR LF", a + b"\r\n" + b + b"\r\n", [A, B]),
    ("empty lines", b"\n\n\r\n" + a + H + H, [A]),
    ("text before and after", b"hello\r\n" + a + b"\nworld\n", [text(b"hello"), A, text(b"world")]),
    ("text glued to a frame", b"boot!" + a + H, [text(b"boot!"), A]),
    ("a frame cut by the next", a[:9] + b + H, ["bad:char", B]),
    ("a frame cut just before its newline", a + b + H, ["bad:char", B]),
    ("a frame without its first byte is text", a[1:] + H + b + H, [text(a[1:]), B]),
    ("a newline in the middle", a[:6] + H + a[6:] + H + b + H, ["bad:shape", text(a[6:]), B]),
    ("many ~", b"~~~" + a + H, ["bad:char"] * 3 + [A]),
    ("too long, then a frame at once", b"~" + b"x" * 100 + a + H + b + H, ["bad:length", A, B]),
    ("too long, rest of the line dropped", b"~" + b"x" * 100 + H + b + H, ["bad:length", B]),
    ("bad byte, rest of the line dropped", b"~7 tag\x80 what follows\n" + b + H, ["bad:char", B]),
    ("bad byte, then a frame at once", b"~7 tag\x80 what" + a + H, ["bad:char", A]),
    ("CR inside is refused at the next byte", b"~7 tag\r 0*0000\n" + b + H, ["bad:char", B]),
    ("CR, then ~", a + b"\r" + b + H, ["bad:char", B]),
    ("62 bytes, CR, LF", frame("4 x " + "y" * 52) + b"\r\n", [ok("4 x " + "y" * 52)]),
    ("62 bytes, CR, something", frame("4 x " + "y" * 52) + b"\rz\n" + b + H, ["bad:length", B]),
    ("~ as byte 63", b"~" + b"x" * 61 + b + H, ["bad:length", B]),
    ("~ as byte 62", b"~" + b"x" * 60 + b + H, ["bad:char", B]),
    ("62 bytes, CR, ~", frame("4 x " + "y" * 52) + b"\r" + b + H, ["bad:length", B]),
    ("open end", a + H + b, [A]),
    ("binary noise", bytes([0, 255, 17, 200, 126, 3, 10]) + a + H, [text(bytes([0, 255, 17, 200])), "bad:char", A]),
    ("wrong CRC", a[:-1] + (b"0" if a[-1:] != b"0" else b"1") + H + b + H, ["bad:crc", B]),
    ("an RDM6300 reader on the line", b"\x020012345678" + b"08\x03" + a + H, [text(b"\x02001234567808\x03"), A]),
]


def main() -> None:
    folder = sys.argv[1]
    out = ["# Primrack board protocol, version 1: frames. Frozen: if a test fails here, do not change the vectors. See hardware/PROTOCOL.md, 9."]
    for item in OK:
        if isinstance(item, tuple):
            out.append(item[0])
            continue
        f = frame(item)
        assert len(f) <= 62, item
        p = item.split(" ")
        out.append("\t".join(["ok", f.decode(), p[0], p[1], "|".join(p[2:])]))
    out.append("# one CR at the end is tolerated: the hex below is no bad frame, so it stands in board-1-stream.txt")
    for why, data, reason in BAD:
        out.append("# " + why)
        out.append("\t".join(["bad", data.hex().upper(), reason]))
    with open(os.path.join(folder, "board-1.txt"), "w", newline="\n") as f:
        f.write("\n".join(out) + "\n")
    out = ["# Primrack board protocol, version 1: streams. Frozen, see hardware/PROTOCOL.md, 9."]
    for why, data, items in STREAM:
        out.append("# " + why)
        out.append(data.hex().upper() + "\t" + " ".join(items))
    with open(os.path.join(folder, "board-1-stream.txt"), "w", newline="\n") as f:
        f.write("\n".join(out) + "\n")


main()
