// The gateway of the Uno, whole: from the parts' pins to the line and back.
#include "fake_hal.h"

// As in Arduino's core for the Uno.
enum { A0 = 14, A1, A2, A3, A4, A5 };

#include "boards/uno.h"
#include "check.h"
#include "gateway.h"
#include "line.h"
#include "mfrc522_model.h"

using namespace primrack;

static model::Chip chip;
static line::Items items;
static std::string collected;

static std::string ms(unsigned n) {
  std::string said;
  for (unsigned i = 0; i < n; ++i) {
    ++fake::machine().ms;
    for (int k = 0; k < 5; ++k) gateway::poll();
    for (char b : fake::machine().tx)
      items.feed(static_cast<uint8_t>(b), [&said](const std::string& item) {
        said += item + " ";
        // As a host does: answer each event.
        const size_t colon = item.find(':', 3);
        const std::string seq = item.substr(3, colon - 3), verb = item.substr(colon + 1, item.find(':', colon + 1) - colon - 1);
        for (const char* event : {"tag", "wg", "sun", "btn", "val", "out", "part", "lost"})
          if (seq != "0" && verb == event) fake::machine().rx += line::frame(seq + " got") + "\n";
      });
    fake::machine().tx.clear();
    if (i % 900 == 899) fake::machine().rx += line::frame("0 ping") + "\n";
  }
  return said;
}
static std::string ask(const std::string& body) {
  fake::machine().rx += line::frame(body) + "\n";
  return ms(1);
}
static bool has(const std::string& all, const std::string& part) { return all.find(part) != std::string::npos; }

static void power_on() {
  static bool done = false;
  if (done) return;
  done = true;
  fake::reset();
  fake::machine().ms = 65000;
  fake::machine().spi = [](uint8_t out) { return chip.spi(out); };
  fake::machine().pin_changed = [](uint8_t pin, bool level) {
    if (pin == 10) chip.select(!level);
    if (pin == 9) chip.reset_pin(level);
  };
  gateway::begin(Cause::por);
}

TEST("hello, with what the board's file says") {
  power_on();
  CHECK(!fake::machine().pin[5] && fake::machine().output[5]);
  CHECK(has(ms(5), "ok:0:hello:1|gw-1.0.0|board|1|por|127|r3b1a1o5 "));
  const char* const want[] = {"rc522|badge", "wiegand|gate", "rdm6300|desk", "button|bell", "analog|light", "relay|latch", "lamp|tower", "lock|bolt", "buzzer|siren", "lcd|screen"};
  for (int i = 0; i < 10; ++i)
    CHECK_SAME(ask("1 part " + std::to_string(i)), "ok:1:is:" + std::to_string(i) + "|" + want[i] + " ");
  CHECK_SAME(ask("1 part 10"), "ok:1:no:out ");
  std::string said = ask("1 hi 1 4711 3000");
  said += ms(300);
  for (const char* state : {"out:0|0|reset", "out:4|0|reset", "part:0|ok", "part:2|ok", "val:0|"}) if (!has(said, state)) CHECK_SAME(said, state);
}

TEST("a badge at the RC522 is an event within 60 ms, a SUN card too") {
  model::Card card({0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6});
  chip.field = {&card};
  CHECK(has(ms(60), ":tag:0|"));
  chip.field.clear();
  ms(400);
  model::Card sun({0x04, 0xDE, 0x5F, 0x1E, 0xAC, 0xC0, 0x40}, model::Card::Kind::type4,
                  model::ndef_uri("example.org/b?picc_data=EF963FF7828658A599F3041510671E88&cmac=94EED9EE65337086"));
  chip.field = {&sun};
  const std::string said = ms(100);
  CHECK(has(said, ":sun:0|") && has(said, "75Y_94KGWKWZ8wQVEGceiJTu2e5lM3CG") && !has(said, ":tag:"));
  chip.field.clear();
  ms(400);
}

TEST("Wiegand, RDM6300, button and light are events") {
  Wiegand* const w = static_cast<Wiegand*>(fake::machine().wiegand);
  for (int i = 25; i >= 0; --i) {
    w->pulse(0x2F764DD >> i & 1, fake::machine().ms);
    ms(2);
  }
  CHECK(has(ms(20), ":wg:1|0|26|7BB26E "));

  EdgeUart* const u = static_cast<EdgeUart*>(fake::machine().edges);
  std::string said;
  for (char c : std::string("\x02" "001234567808" "\x03")) {
    bool level = true;
    double t = fake::machine().us;
    for (int i = 0; i < 10; ++i) {
      const bool v = i == 0 ? false : i == 9 ? true : (c >> (i - 1) & 1) != 0;
      if (v != level) u->edge(static_cast<uint16_t>(t), v);
      level = v;
      t += 104.17;
    }
    fake::machine().us = static_cast<uint16_t>(t + 100);
    said += ms(2);
  }
  said += ms(2);
  CHECK(has(said, ":tag:2|") && has(said, "|0012345678 "));

  fake::machine().pin[4] = false;
  CHECK(has(ms(3), ":btn:0|"));
  fake::machine().pin[4] = true;
  CHECK(has(ms(30), "|0 "));
  fake::machine().analog[A0] = 600;
  CHECK(has(ms(150), ":val:0|"));
}

TEST("every output moves its pins, and all fall to safe when the host is silent") {
  fake::machine().log.clear();
  CHECK(has(ask("2 set 0 1 0"), "ok:2:ok:1"));
  CHECK(has(ask("3 set 1 5 0"), "ok:3:ok:5"));
  CHECK(has(ask("4 set 2 1 0"), "ok:4:ok:1"));
  CHECK(has(ask("5 set 3 440 0"), "ok:5:ok:440"));
  CHECK(has(ask("6 txt 4 0 Hello"), "ok:6:ok:1"));
  CHECK(has(ask("7 txt 0 0 Hello"), "ok:7:no:out"));
  CHECK(has(ask("8 set 1 64 0"), "ok:8:no:arg"));
  for (const char* l : {"pin 5 1", "pin 15 1", "pin 17 1", "servo 6 2000", "tone 7 440"}) {
    bool found = false;
    for (const std::string& m : fake::machine().log) found = found || m == l;
    CHECK(found);
  }
  fake::machine().log.clear();
  unsigned silent = 0;
  for (; fake::machine().pin[5] && silent < 5000; ++silent) {
    ++fake::machine().ms;
    gateway::poll();
  }
  CHECK(silent >= 2990 && silent <= 3001);
  for (const char* l : {"pin 5 0", "pin 15 0", "pin 17 0", "servo 6 1000", "tone 7 0"}) {
    bool found = false;
    for (const std::string& m : fake::machine().log) found = found || m == l;
    CHECK(found);
  }
}

TEST("a deaf reader is told, and healed") {
  ask("1 hi 1 4712 3000");
  ms(300);
  chip.dead = true;
  CHECK(has(ms(800), "part:0|deaf "));
  chip.dead = false;
  chip.power_on();
  CHECK(has(ms(600), "part:0|healed "));
}

int main() { return check::main("gateway"); }
