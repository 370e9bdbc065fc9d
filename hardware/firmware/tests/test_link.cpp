// Framing: the frozen vectors, damage, noise, limits, and what is written can be read.
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "check.h"
#include "fake_hal.h"
#include "line.h"
#include "parts.h"

using namespace primrack;

namespace primrack {
namespace parts {
bool set(uint8_t, uint32_t) { return true; }
uint32_t safe_value(uint8_t) { return 0; }
bool show(uint8_t, uint8_t, const char*) { return false; }
FlashText kind(uint8_t) { return "relay"; }
FlashText name(uint8_t) { return "x"; }
}  // namespace parts
}  // namespace primrack

static const std::string VECTORS = "../link/tests/vectors/";

static std::vector<std::vector<std::string>> rows(const std::string& file) {
  std::ifstream in(VECTORS + file);
  CHECK(in.good());
  std::vector<std::vector<std::string>> all;
  std::string l;
  while (std::getline(in, l)) {
    if (l.empty() || l[0] == '#') continue;
    std::vector<std::string> cells;
    size_t from = 0, tab;
    while ((tab = l.find('\t', from)) != std::string::npos) {
      cells.push_back(l.substr(from, tab - from));
      from = tab + 1;
    }
    cells.push_back(l.substr(from));
    all.push_back(cells);
  }
  return all;
}

static std::string stream(const std::string& bytes) {
  std::string items;
  line::Items reader;
  for (char b : bytes)
    reader.feed(static_cast<uint8_t>(b), [&items](const std::string& i) { items += (items.empty() ? "" : " ") + i; });
  return items;
}

static std::string one(const std::string& bytes) {
  char scratch[FRAME_MAX];
  Frame f;
  const Refusal r = decode_line(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), scratch, f);
  if (r != Refusal::none) return std::string("bad:") + line::word(r);
  return "ok:" + std::to_string(f.seq) + ":" + f.verb + (f.args ? ":" + line::args(f) : "");
}

TEST("the frozen frames are taken and refused as they say") {
  unsigned good = 0, bad = 0;
  for (const auto& c : rows("board-1.txt")) {
    if (c[0] == "ok") {
      CHECK(c.size() == 5);
      const std::string want = "ok:" + c[2] + ":" + c[3] + (c[4].empty() ? "" : ":" + c[4]);
      CHECK_SAME(one(c[1]), want);
      CHECK_SAME(stream(c[1] + "\n"), want);
      CHECK_SAME(stream(c[1] + "\r\n"), want);
      ++good;
    } else {
      CHECK(c.size() == 3);
      CHECK_SAME(one(line::unhex(c[1])), "bad:" + c[2]);
      CHECK_SAME(stream(line::unhex(c[1]) + "\n"), "bad:" + c[2]);
      ++bad;
    }
  }
  CHECK(good >= 50 && bad >= 50);
}

TEST("the frozen streams give their items") {
  unsigned n = 0;
  for (const auto& c : rows("board-1-stream.txt")) {
    CHECK_SAME(stream(line::unhex(c[0])), c[1]);
    ++n;
  }
  CHECK(n >= 20);
}

TEST("every single and double bit error of a frame is refused") {
  const std::string good = line::frame("7 tag 0 04A1B2C3D4E5F6");
  const size_t bits = good.size() * 8;
  for (size_t a = 8; a < bits; ++a)  // the first byte is `~` itself
    for (size_t b = a; b < bits; ++b) {
      std::string s = good;
      s[a / 8] = static_cast<char>(s[a / 8] ^ 1 << a % 8);
      if (b != a) s[b / 8] = static_cast<char>(s[b / 8] ^ 1 << b % 8);
      if (one(s).compare(0, 3, "bad") != 0) CHECK_SAME(s, "refused");
    }
}

TEST("a whole line and a stream say the same of 300,000 mutated frames") {
  std::mt19937 rng(20);
  const std::string seeds[] = {line::frame("7 tag 0 04A1B2C3D4E5F6"), line::frame("2 set 1 0 500"), line::frame("0 hello 1 gw-1.0.0 board 1 por 127 r3b2a1o6")};
  unsigned taken = 0;
  for (unsigned i = 0; i < 300000; ++i) {
    std::string s = seeds[rng() % 3];
    for (unsigned k = rng() % 4; k > 0; --k) {
      const size_t at = 1 + rng() % (s.size() - 1);
      const char c = static_cast<char>(rng());
      if (c == '\n' || c == '~') continue;  // these end or begin a line in a stream
      switch (rng() % 3) {
        case 0: s[at] = c; break;
        case 1: s.insert(at, 1, c); break;
        default: s.erase(at, 1); break;
      }
    }
    const std::string a = one(s);
    if (stream(s + "\n") != a) CHECK_SAME(stream(s + "\n"), a);
    taken += a[0] == 'o';
  }
  CHECK(taken > 1000);
}

TEST("20 kB of garbage, then the next frame is taken") {
  std::mt19937 rng(7);
  const std::string good = line::frame("1 set 0 1 500");
  for (int round = 0; round < 20; ++round) {
    std::string s;
    for (int i = 0; i < 20000; ++i) s += static_cast<char>(rng());
    const std::string items = stream(s + good + "\n");
    CHECK(items.size() > 20 && items.substr(items.size() - 17) == " ok:1:set:0|1|500");
  }
}

TEST("what is written can be read, at the longest too") {
  fake::reset();
  fake::machine().tx_size = 200;
  uint8_t sun[24];
  for (uint8_t i = 0; i < 24; ++i) sun[i] = static_cast<uint8_t>(i * 37);
  put::begin(65535, "sun");
  put::small(9);
  put::small(65535);
  put::base64url(sun, 24);
  put::end();
  CHECK(fake::machine().tx.size() <= 63);
  CHECK_SAME(stream(fake::machine().tx), "ok:65535:sun:9|65535|ACVKb5S53gMoTXKXvOEGK1B1mr_kCS5T");
  fake::machine().tx.clear();
  const uint8_t uid[10] = {0, 1, 2, 0xAB, 0xCD, 0xEF, 9, 0x90, 0x7F, 0xFF};
  put::begin(0, "tag");
  put::number(16777215);
  put::text("abc");
  put::hex(uid, 10);
  put::end();
  CHECK_SAME(stream(fake::machine().tx), "ok:0:tag:16777215|abc|000102ABCDEF09907FFF");
}

TEST("numbers are strict") {
  uint32_t v = 0;
  CHECK(parse_number("0", 10, v) && v == 0);
  CHECK(parse_number("16777215", 16777215, v) && v == 16777215);
  CHECK(!parse_number("16777216", 16777215, v));
  for (const char* bad : {"", "00", "01", "+1", "-1", "1 ", " 1", "0x1", "1a", "123456789", "99999999999999999999"}) CHECK(!parse_number(bad, 16777215, v));
}

int main() { return check::main("link"); }
