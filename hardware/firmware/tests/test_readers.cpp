// Readers, inputs and outputs, each alone.
#include <algorithm>
#include <random>

#include "check.h"
#include "edge_uart.h"
#include "fake_hal.h"
#include "inputs.h"
#include "lcd.h"
#include "line.h"
#include "mfrc522_model.h"
#include "outputs.h"
#include "parts.h"
#include "rc522.h"
#include "rdm6300.h"
#include "sun.h"
#include "wiegand.h"

using namespace primrack;
using model::Bytes;
using model::Card;

namespace primrack {
namespace parts {
bool set(uint8_t, uint32_t) { return false; }
uint32_t safe_value(uint8_t) { return 0; }
bool show(uint8_t, uint8_t, const char*) { return false; }
FlashText kind(uint8_t) { return "x"; }
FlashText name(uint8_t) { return "x"; }
}  // namespace parts
}  // namespace primrack

static const std::string SUN_URL =
    "example.org/b?picc_data=EF963FF7828658A599F3041510671E88&cmac=94EED9EE65337086";
static const char SUN_HEX[] = "EF963FF7828658A599F3041510671E8894EED9EE65337086";

static std::string hex(const uint8_t* b, size_t n) { return line::hex(std::string(reinterpret_cast<const char*>(b), n)); }

// ---------------------------------------------------------------- RC522

struct ReaderRig {
  model::Chip chip;
  Rc522 reader;
  ReaderRig() {
    fake::reset();
    fake::machine().ms = 60000;
    fake::machine().spi = [this](uint8_t out) { return chip.spi(out); };
    fake::machine().pin_changed = [this](uint8_t pin, bool level) {
      if (pin == 10) chip.select(!level);
      if (pin == 9) chip.reset_pin(level);
    };
    reader.begin(fake::machine().ms, 10, 9);
  }
  // Ten passes a millisecond; events joined by spaces.
  std::string ms(unsigned n) {
    std::string said;
    for (unsigned i = 0; i < n; ++i) {
      ++fake::machine().ms;
      for (int k = 0; k < 10; ++k) {
        switch (reader.poll(fake::machine().ms)) {
          case Rc522::Event::tag: said += "tag:" + hex(reader.uid(), reader.uid_len()) + " "; break;
          case Rc522::Event::sun: said += "sun:" + hex(reader.sun(), 24) + " "; break;
          case Rc522::Event::healed: said += "healed "; break;
          case Rc522::Event::deaf: said += "deaf "; break;
          case Rc522::Event::nothing: break;
        }
      }
    }
    return said;
  }
};

TEST("RC522: UIDs of 4, 7 and 10 bytes, told once while the card lies there, again after it was away") {
  const Bytes uids[] = {{0xDE, 0xAD, 0xBE, 0xEF}, {0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}};
  for (const Bytes& uid : uids) {
    ReaderRig r;
    CHECK_SAME(r.ms(100), "");
    Card card(uid);
    r.chip.field = {&card};
    const std::string want = "tag:" + hex(uid.data(), uid.size()) + " ";
    CHECK_SAME(r.ms(60), want);  // within one round and its work
    CHECK_SAME(r.ms(3000), "");
    r.chip.field.clear();
    r.ms(300);
    card.state = Card::State::idle;
    r.chip.field = {&card};
    CHECK_SAME(r.ms(60), want);
  }
}

TEST("RC522: a short gap is not a new card") {
  ReaderRig r;
  Card card({0xDE, 0xAD, 0xBE, 0xEF});
  r.chip.field = {&card};
  r.ms(100);
  r.chip.field.clear();
  r.ms(100);
  r.chip.field = {&card};
  CHECK_SAME(r.ms(500), "");
}

TEST("RC522: two and three cards at once, whatever bits they differ in") {
  std::mt19937 rng(3);
  for (int round = 0; round < 200; ++round) {
    ReaderRig r;
    const size_t len = round % 2 ? 4 : 7;
    Bytes a, b, c;
    for (size_t i = 0; i < len; ++i) a.push_back(static_cast<uint8_t>(rng()));
    if (len == 7) a[0] = 0x04;
    if (len == 4 && a[0] == 0x88) a[0] = 0x08;  // 88 is no UID of 4 bytes, it says that more follows
    b = a;
    b[1 + rng() % (len - 1)] = static_cast<uint8_t>(b[1] ^ 1 << rng() % 8 ^ 0x80);
    c = a;
    c[len - 1] = static_cast<uint8_t>(c[len - 1] ^ 1 << rng() % 8);
    if (b == a || c == b) continue;
    Card ca(a), cb(b), cc(c);
    r.chip.field = {&ca, &cb, &cc};
    const std::string said = r.ms(400);
    CHECK(said.find(hex(a.data(), len)) != std::string::npos);
    CHECK(said.find(hex(b.data(), len)) != std::string::npos);
    CHECK(said.find(hex(c.data(), len)) != std::string::npos);
    CHECK(std::count(said.begin(), said.end(), ':') == 3);
  }
}

TEST("RC522: NTAG 424 DNA gives its SUN message and no tag") {
  ReaderRig r;
  Card card({0x04, 0xDE, 0x5F, 0x1E, 0xAC, 0xC0, 0x40}, Card::Kind::type4, model::ndef_uri(SUN_URL));
  r.chip.field = {&card};
  CHECK_SAME(r.ms(200), std::string("sun:") + SUN_HEX + " ");
  CHECK_SAME(r.ms(1000), "");
  CHECK(card.counter == 1);  // read once: each reading moves the card's counter
}

TEST("RC522: a card that asks for time gets it") {
  ReaderRig r;
  Card card({0x04, 0xDE, 0x5F, 0x1E, 0xAC, 0xC0, 0x40}, Card::Kind::type4, model::ndef_uri(SUN_URL));
  card.asks_for_time = true;
  r.chip.field = {&card};
  CHECK_SAME(r.ms(200), std::string("sun:") + SUN_HEX + " ");
}

TEST("RC522: a card that asks for time without end does not hold the reader") {
  ReaderRig r;
  Card bad({0x04, 9, 9, 9, 9, 9, 9}, Card::Kind::type4, model::ndef_uri(SUN_URL));
  bad.asks_for_time = bad.always_asks = true;
  r.chip.field = {&bad};
  r.ms(100);
  Card good({0xDE, 0xAD, 0xBE, 0xEF});
  r.chip.field = {&good};
  CHECK(r.ms(200).find("tag:DEADBEEF ") != std::string::npos);
}

TEST("RC522: a chip and cards that answer anything break nothing") {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    ReaderRig r;
    Card card({0x04, 1, 2, 3, 4, 5, 6}, seed % 2 ? Card::Kind::type4 : Card::Kind::type2, model::ndef_uri(SUN_URL));
    r.chip.field = {&card};
    std::mt19937 rng(seed);
    fake::machine().spi = [&r, &rng, seed](uint8_t out) {
      const uint8_t v = r.chip.spi(out);
      return rng() % (4 + seed * 8) == 0 ? static_cast<uint8_t>(rng()) : v;
    };
    const std::string said = r.ms(3000);
    CHECK(said.size() < 3000);
    fake::machine().spi = [&r](uint8_t out) { return r.chip.spi(out); };
    r.chip.field.clear();
    r.ms(1500);
    Card good({0xDE, 0xAD, 0xBE, 0xEF});
    r.chip.field = {&good};
    CHECK_SAME(r.ms(200), "tag:DEADBEEF ");
  }
}

TEST("RC522: Type 4 without NDEF or without SUN is its UID") {
  for (int k = 0; k < 3; ++k) {
    ReaderRig r;
    Card card({0x04, 1, 2, 3, 4, 5, 6}, k == 0 ? Card::Kind::type4_without_ndef : Card::Kind::type4,
              k == 1 ? model::ndef_uri("example.org/a") : model::ndef_uri("example.org/a?something=" + std::string(90, 'x')));
    r.chip.field = {&card};
    CHECK_SAME(r.ms(300), "tag:04010203040506 ");
  }
}

TEST("RC522: an NTAG with a long NDEF is read, one without is its UID") {
  Bytes memory(16, 0);  // pages 0..3
  Bytes ndef = model::ndef_uri(SUN_URL);
  memory.push_back(0x03);
  memory.push_back(static_cast<uint8_t>(ndef.size()));
  memory.insert(memory.end(), ndef.begin(), ndef.end());
  memory.push_back(0xFE);
  {
    ReaderRig r;
    Card card({0x04, 1, 2, 3, 4, 5, 6}, Card::Kind::type2, memory);
    r.chip.field = {&card};
    CHECK_SAME(r.ms(200), std::string("sun:") + SUN_HEX + " ");
  }
  {  // a lock control TLV before it, as NTAG213 has from the factory
    Bytes locked(memory.begin(), memory.begin() + 16);
    for (int b : {0x01, 0x03, 0xA0, 0x0C, 0x34}) locked.push_back(static_cast<uint8_t>(b));
    locked.insert(locked.end(), memory.begin() + 16, memory.end());
    ReaderRig r;
    Card card({0x04, 1, 2, 3, 4, 5, 7}, Card::Kind::type2, locked);
    r.chip.field = {&card};
    CHECK_SAME(r.ms(200), std::string("sun:") + SUN_HEX + " ");
  }
  {
    ReaderRig r;
    Card card({0x04, 1, 2, 3, 4, 5, 8}, Card::Kind::type2, Bytes(180, 0));
    r.chip.field = {&card};
    CHECK_SAME(r.ms(200), "tag:04010203040508 ");
  }
}

TEST("RC522: a card taken away at any moment gives its UID, its SUN message or nothing, and the reader goes on") {
  for (unsigned answers = 0; answers < 16; ++answers) {
    for (Card::Kind kind : {Card::Kind::classic, Card::Kind::type2, Card::Kind::type4}) {
      ReaderRig r;
      Card card({0x04, 1, 2, 3, 4, 5, 6}, kind, model::ndef_uri(SUN_URL));
      card.answers_left = answers;
      r.chip.field = {&card};
      const std::string said = r.ms(600);
      CHECK(said.empty() || said == "tag:04010203040506 " || said == std::string("sun:") + SUN_HEX + " ");
      Card other({0xDE, 0xAD, 0xBE, 0xEF});
      r.chip.field = {&other};
      CHECK_SAME(r.ms(100), "tag:DEADBEEF ");
    }
  }
}

TEST("RC522: a Type 4 card that always breaks off is its UID after a few rounds") {
  ReaderRig r;
  Card card({0x04, 1, 2, 3, 4, 5, 6}, Card::Kind::type4, model::ndef_uri(SUN_URL));
  r.chip.field = {&card};
  std::string said;
  for (int i = 0; i < 20 && said.empty(); ++i) {
    card.answers_left = 4;  // select, select, RATS, first command
    card.state = Card::State::idle;
    card.halted_before = false;
    said = r.ms(50);
  }
  CHECK(said.empty() || said == "tag:04010203040506 ");
  card.answers_left = 1000;
  card.kind = Card::Kind::type4;
  CHECK(r.ms(500).size() + said.size() > 0);
}

TEST("RC522: lost settings are seen and mended within 0.6 s") {
  ReaderRig r;
  r.ms(100);
  r.chip.power_on();  // a glitch: the chip has forgotten everything
  CHECK_SAME(r.ms(600), "healed ");
  r.chip.reg(0x14) &= 0xFC;  // only the antenna is off
  CHECK_SAME(r.ms(600), "healed ");
  r.chip.reg(0x15) = 0;
  CHECK_SAME(r.ms(600), "healed ");
  Card card({0xDE, 0xAD, 0xBE, 0xEF});
  r.chip.field = {&card};
  CHECK_SAME(r.ms(100), "tag:DEADBEEF ");
}

TEST("RC522: a dead chip is told as deaf within 0.7 s, once, and healed when it is back") {
  ReaderRig r;
  r.ms(100);
  r.chip.dead = true;
  CHECK_SAME(r.ms(700), "deaf ");
  CHECK_SAME(r.ms(5000), "");
  r.chip.dead = false;
  r.chip.power_on();
  CHECK_SAME(r.ms(500), "healed ");
  Card card({0xDE, 0xAD, 0xBE, 0xEF});
  r.chip.field = {&card};
  CHECK_SAME(r.ms(100), "tag:DEADBEEF ");
}

TEST("RC522: not there from the start is deaf, and lines that read 0 too") {
  ReaderRig r;
  r.chip.dead = true;
  CHECK_SAME(r.ms(300), "deaf ");
  fake::machine().spi = [](uint8_t) { return 0; };
  CHECK_SAME(r.ms(3000), "");
}

TEST("RC522: without cards for half a minute it is reset, silently") {
  ReaderRig r;
  r.ms(100);
  const unsigned before = r.chip.resets;
  CHECK_SAME(r.ms(31000), "");
  CHECK(r.chip.resets == before + 1);
  Card card({0xDE, 0xAD, 0xBE, 0xEF});
  r.chip.field = {&card};
  CHECK_SAME(r.ms(100), "tag:DEADBEEF ");
}

TEST("RC522: chips of other makes are taken") {
  for (int v : {0x12, 0x88, 0x90, 0x91, 0x92, 0xB2}) {
    const uint8_t version = static_cast<uint8_t>(v);
    ReaderRig r;
    r.chip.reg(0x37) = version;
    r.ms(5);
    r.chip.reg(0x37) = version;
    CHECK_SAME(r.ms(200), "");
  }
}

// ---------------------------------------------------------------- SUN

static std::string find_sun(const std::string& s) {
  SunFinder f;
  f.begin();
  for (char c : s) f.feed(static_cast<uint8_t>(c));
  return f.end() ? hex(f.message(), 24) : "none";
}

TEST("SUN: found whatever the parameters are called, refused when anything is amiss") {
  const std::string p = "EF963FF7828658A599F3041510671E88", c = "94EED9EE65337086";
  CHECK_SAME(find_sun(SUN_URL), SUN_HEX);
  CHECK_SAME(find_sun("x?e=" + p + "&c=" + c), SUN_HEX);
  CHECK_SAME(find_sun("x?id=42&e=ef963ff7828658a599f3041510671e88&x=1&c=94eed9ee65337086\xfe"), SUN_HEX);
  CHECK_SAME(find_sun("x?picc_data=" + p + "&enc=" + std::string(32, 'A') + "&cmac=" + c), SUN_HEX);
  CHECK_SAME(find_sun("x?e=" + p + "&x=0123456789ABCDEF&c=" + c), SUN_HEX);
  CHECK_SAME(find_sun("x?e=" + p + "&c=" + c + "&x=0123"), "none");
  CHECK_SAME(find_sun("x?e=" + p), "none");
  CHECK_SAME(find_sun("x?c=" + c), "none");
  CHECK_SAME(find_sun("x?c=" + c + "&e=" + p), "none");
  CHECK_SAME(find_sun("x?e=" + p + "0&c=" + c), "none");
  CHECK_SAME(find_sun("x?e=" + p.substr(1) + "&c=" + c), "none");
  CHECK_SAME(find_sun("x?e=" + p + "&c=" + c + "0"), "none");
  CHECK_SAME(find_sun("x?e=" + p + "&c=" + c.substr(1)), "none");
  CHECK_SAME(find_sun("x?e=" + p + "/&c=" + c), "none");
  CHECK_SAME(find_sun(""), "none");
}

// ---------------------------------------------------------------- serial readers

// Sends bytes as edges at `bit` us a bit; the loop looks in between. Returns what was read.
static std::string through_edges(const std::string& bytes, double bit, unsigned gap_bits, unsigned jitter_us) {
  std::mt19937 rng(1);
  EdgeUart u;
  double t = 65000;  // the clock wraps on the way
  bool level = true;
  std::string got;
  auto drain = [&](double at) {
    uint8_t b;
    u.idle(static_cast<uint16_t>(at));
    while (u.read(b)) got += static_cast<char>(b);
  };
  size_t sent = 0;
  for (char ch : bytes) {
    ++sent;
    for (int i = 0; i < 10; ++i) {
      const bool v = i == 0 ? false : i == 9 ? true : (static_cast<uint8_t>(ch) >> (i - 1) & 1) != 0;
      if (v != level) {
        level = v;
        u.edge(static_cast<uint16_t>(static_cast<uint64_t>(t) + rng() % (jitter_us + 1)), v);
      }
      t += bit;
    }
    if (gap_bits > 0) {
      t += bit * gap_bits;
      drain(t);
    } else if (rng() % 4 == 0 || got.size() + 6 <= sent) {  // the ring holds 7
      drain(t);  // may be too early for the last byte: that must not harm
    }
  }
  drain(t + 2000);
  return got;
}

TEST("edge timing: all bytes, back to back and with gaps, 3 % off, 20 us late") {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (double bit : {101.1, 104.17, 107.2})
    for (unsigned gap : {0u, 1u, 5u, 40u})
      for (unsigned jitter : {0u, 20u}) {
        const std::string got = through_edges(all, bit, gap, jitter);
        CHECK_SAME("bit " + std::to_string(bit) + " gap " + std::to_string(gap) + " late " + std::to_string(jitter) + " " + line::hex(got), "bit " + std::to_string(bit) + " gap " + std::to_string(gap) + " late " + std::to_string(jitter) + " " + line::hex(all));
      }
}

TEST("edge timing: spikes and a line held low give nothing wrong") {
  EdgeUart u;
  uint8_t b;
  u.edge(1000, false);
  u.edge(1010, true);  // 10 us
  u.idle(3000);
  CHECK(!u.read(b));
  u.edge(4000, false);  // a break
  u.idle(9000);
  CHECK(!u.read(b));
  u.edge(20000, true);
  u.idle(30000);
  CHECK(!u.read(b));
  u.edge(40000, true);  // the same level twice
  u.edge(40100, true);
  u.idle(45000);
  CHECK(!u.read(b));
}

static std::string rdm(Rdm6300& r, const std::string& bytes, uint16_t now) {
  std::string said;
  r.poll(now);
  for (char c : bytes)
    if (r.feed(now, static_cast<uint8_t>(c))) said += hex(r.uid(), 5) + " ";
  return said;
}

TEST("RDM6300 and ID-12LA: the worked example, repeats, damage") {
  const std::string frame = "\x02" "001234567808" "\x03", id12 = "\x02" "001234567808\r\n" "\x03";
  { Rdm6300 r; CHECK_SAME(rdm(r, frame, 5), "0012345678 "); }
  { Rdm6300 r; CHECK_SAME(rdm(r, id12, 5), "0012345678 "); }
  Rdm6300 r;
  CHECK_SAME(rdm(r, frame, 65500), "0012345678 ");
  for (int i = 1; i < 1500; ++i) CHECK_SAME(rdm(r, frame, static_cast<uint16_t>(65500 + i * 65)), "");  // it lies there, the clock wraps
  const uint16_t now = static_cast<uint16_t>(65500 + 1499 * 65);
  CHECK_SAME(rdm(r, "\x02" "001234567909" "\x03", now), "0012345679 ");  // another card at once
  rdm(r, "", static_cast<uint16_t>(now + 700));
  CHECK_SAME(rdm(r, frame, static_cast<uint16_t>(now + 701)), "0012345678 ");
  Rdm6300 d;
  for (const char* bad : {"\x02" "001234567809\x03", "\x02" "00123456780\x03", "\x02" "0012345678088\x03", "\x02" "00123456780g\x03", "001234567808\x03",
                          "\x02" "00123\x03", "\x02\x03", "\x02" "001234567808", "\x02" "0012345678\r\n08\x03"})
    CHECK_SAME(rdm(d, bad, 5), "");
  CHECK_SAME(rdm(d, "\x02" "00123" + frame, 5), "0012345678 ");
}

static std::string wiegand(const std::string& bits, uint16_t gap = 2, uint16_t from = 65530) {
  Wiegand w;
  uint16_t t = from;
  for (char b : bits) {
    w.pulse(b == '1', t);
    t = static_cast<uint16_t>(t + gap);
    if (w.poll(t)) return "early";
  }
  for (int i = 0; i < 30; ++i)
    if (w.poll(static_cast<uint16_t>(t + i))) return std::to_string(w.bits()) + ":" + hex(w.payload(), w.bits() == 26 ? 3 : 4);
  return w.refused() == 1 ? "refused" : "nothing";
}
static std::string bits_of(uint64_t v, int n) {
  std::string s;
  while (n-- > 0) s += v >> n & 1 ? '1' : '0';
  return s;
}

TEST("Wiegand: the worked example, 34 bits, parity and length refused") {
  CHECK_SAME(wiegand(bits_of(0x2F764DD, 26)), "26:7BB26E");
  for (int i = 0; i < 26; ++i) CHECK_SAME(wiegand(bits_of(0x2F764DDu ^ 1u << i, 26)), "refused");
  // 34: payload 7BB26E01: even parity over the first 17, odd over the last 17
  const uint64_t payload = 0x7BB26E01;
  uint64_t raw = payload << 1;
  if (__builtin_popcountll(raw >> 17) & 1) raw |= 1ull << 33;
  if (!(__builtin_popcountll(raw & 0x1FFFF) & 1)) raw |= 1;
  CHECK_SAME(wiegand(bits_of(raw, 34)), "34:7BB26E01");
  for (int n : {1, 4, 8, 25, 27, 33, 35, 60, 300}) CHECK_SAME(wiegand(std::string(static_cast<size_t>(n), '1')), "refused");
  CHECK_SAME(wiegand(""), "nothing");
  Wiegand w;  // a frame after a refused one
  for (int i = 0; i < 40; ++i) w.pulse(true, 0);
  CHECK(!w.poll(100));
  for (char b : bits_of(0x2F764DD, 26)) w.pulse(b == '1', 200);
  CHECK(w.poll(300) && hex(w.payload(), 3) == "7BB26E");
}

// ---------------------------------------------------------------- inputs

TEST("a button is told at its first edge and does not bounce") {
  fake::reset();
  Button b;
  b.begin(4);
  std::string said;
  for (unsigned t = 0; t < 2000; ++t) {
    bool level = true;
    if (t >= 100 && t < 1000) level = t < 115 && t % 3 == 0;        // bounces for 15 ms
    if (t >= 1000 && t < 1018) level = t % 2 == 0;                  // and again when let go
    fake::machine().pin[4] = level;
    if (b.poll(static_cast<uint16_t>(65000 + t))) said += std::to_string(t) + (b.pressed() ? "+ " : "- ");
  }
  CHECK_SAME(said, "100+ 1000- ");
}

TEST("an analogue input tells real changes only") {
  fake::reset();
  Analog a;
  a.begin(14, 16);
  std::string said;
  std::mt19937 rng(9);
  for (unsigned t = 0; t < 10000; ++t) {
    const unsigned base = t < 5000 ? 500 : 700;
    fake::machine().analog[14] = static_cast<uint16_t>(base + rng() % 15 - 7);
    if (a.poll(static_cast<uint16_t>(60000 + t))) said += std::to_string(t / 1000) + " ";
  }
  CHECK(said == "0 5 ");
}

// ---------------------------------------------------------------- outputs

static std::string logged() {
  std::string s;
  for (const std::string& l : fake::machine().log) s += l + ", ";
  fake::machine().log.clear();
  return s;
}

TEST("relays of both kinds begin off and do not click on the way") {
  fake::reset();
  Relay high, low;
  high.begin(5, ACTIVE_HIGH);
  low.begin(6, ACTIVE_LOW);
  CHECK(!fake::machine().pin[5] && fake::machine().pin[6]);
  CHECK_SAME(logged(), "");
  CHECK(high.set(1) && low.set(1) && !high.set(2));
  CHECK_SAME(logged(), "pin 5 1, pin 6 0, ");
  CHECK(high.set(1) && low.set(1));
  CHECK_SAME(logged(), "");
}

TEST("lamps are lit and blink") {
  fake::reset();
  Lamp l;
  l.begin(15, 16, 17, ACTIVE_HIGH);
  CHECK(l.set(5));
  CHECK_SAME(logged(), "pin 15 1, pin 17 1, ");
  CHECK(!l.set(64));
  CHECK(l.set(4 | 8));  // green, red blinking
  CHECK_SAME(logged(), "");
  for (unsigned t = 0; t <= 1500; ++t) l.poll(static_cast<uint16_t>(65000 + t));
  CHECK_SAME(logged(), "pin 15 0, pin 15 1, pin 15 0, ");
  CHECK(l.set(0));
  for (unsigned t = 0; t <= 1500; ++t) l.poll(static_cast<uint16_t>(t));
  CHECK_SAME(logged(), "pin 17 0, ");
}

TEST("pixels, servo and buzzer take what they should") {
  fake::reset();
  Pixels p;
  p.begin(14, 8);
  CHECK(p.set(0xFF8000) && !p.set(0x1000000));
  CHECK_SAME(logged(), "pixels 14 8 000000, pixels 14 8 FF8000, ");
  Lock k;
  k.begin(6, 1000, 2000);
  for (unsigned t = 0; t < 1500; ++t) k.poll(static_cast<uint16_t>(65000 + t));
  CHECK_SAME(logged(), "servo 6 1000, servo 6 0, ");
  CHECK(k.set(1) && !k.set(2));
  for (unsigned t = 0; t < 500; ++t) k.poll(static_cast<uint16_t>(1000 + t));
  CHECK(k.set(0));
  for (unsigned t = 0; t < 1500; ++t) k.poll(static_cast<uint16_t>(1500 + t));
  CHECK_SAME(logged(), "servo 6 2000, servo 6 1000, servo 6 0, ");
  Buzzer b;
  b.begin(7);
  CHECK(b.set(440) && b.set(31) && b.set(5000) && !b.set(30) && !b.set(5001) && b.set(0));
  CHECK_SAME(logged(), "tone 7 440, tone 7 31, tone 7 5000, tone 7 0, ");
}

// An HD44780 at its pins: takes nibbles at the falling edge of E.
struct Display {
  std::string ram = std::string(0x68, '?');
  bool four_bits = false, high_next = true, data = false;
  uint8_t high = 0, at = 0;
  unsigned commands = 0;
  void nibble(bool rs, uint8_t v) {
    if (!four_bits) {
      ++commands;
      if (v == 2) four_bits = true;
      return;
    }
    if (high_next) {
      high = v;
      high_next = false;
      return;
    }
    high_next = true;
    const uint8_t byte = static_cast<uint8_t>(high << 4 | v);
    if (rs) {
      ram[at] = static_cast<char>(byte);
      ++at;
    } else if (byte == 1) {
      ram.assign(0x68, ' ');
      at = 0;
    } else if (byte & 0x80) {
      at = byte & 0x7F;
    }
    if (!rs) ++commands;
  }
  std::string row(int r) const { return ram.substr(r ? 0x40 : 0, 16); }
};

TEST("a display on six pins shows what it should, and only writes what has changed") {
  fake::reset();
  Display d;
  fake::machine().pin_changed = [&d](uint8_t pin, bool level) {
    auto& p = fake::machine().pin;
    if (pin == 31 && !level) d.nibble(p[30], static_cast<uint8_t>(p[32] | p[33] << 1 | p[34] << 2 | p[35] << 3));
  };
  Lcd<LcdPins> lcd;
  lcd.begin(30, 31, 32, 33, 34, 35);
  lcd.show(0, "Hello, world    ");
  uint16_t t = 65500;
  auto run = [&](unsigned n) {
    while (n-- > 0) lcd.poll(++t);
  };
  run(200);
  CHECK_SAME(d.row(0), "Hello, world    ");
  CHECK_SAME(d.row(1), "                ");
  lcd.show(1, "second row     !");
  run(100);
  CHECK_SAME(d.row(1), "second row     !");
  CHECK_SAME(d.row(0), "Hello, world    ");
  const unsigned before = d.commands;
  lcd.show(1, "second row     !");
  run(100);
  CHECK(d.commands == before);
  CHECK(lcd.set(0) && !lcd.set(1) && !lcd.show(2, "                "));
  run(100);
  CHECK_SAME(d.row(0) + d.row(1), std::string(32, ' '));
}

TEST("a display behind I2C; away it is looked for again and gets everything anew") {
  fake::reset();
  Display d;
  bool there = true;
  uint8_t before = 0;
  fake::machine().i2c = [&](uint8_t address, const uint8_t* b, uint8_t n) {
    if (!there || address != 0x27) return false;
    for (uint8_t i = 0; i < n; ++i) {
      if ((before & 4) && !(b[i] & 4)) d.nibble((before & 1) != 0, before >> 4);
      before = b[i];
    }
    return true;
  };
  Lcd<LcdI2c> lcd;
  lcd.begin(0x27);
  uint16_t t = 0;
  auto run = [&](unsigned n) {
    while (n-- > 0) lcd.poll(++t);
  };
  lcd.show(0, "Hello, world    ");
  run(300);
  CHECK_SAME(d.row(0), "Hello, world    ");
  there = false;
  lcd.show(0, "gone            ");
  run(3000);
  there = true;
  d = Display();
  run(1500);
  CHECK_SAME(d.row(0), "gone            ");
}

int main() { return check::main("readers"); }
