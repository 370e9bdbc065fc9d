// The session: adoption, outputs and leases, answers exactly once, events until answered, all of it through lines and a clock.
#include "board.h"

#include "check.h"
#include "fake_hal.h"
#include "line.h"
#include "parts.h"

using namespace primrack;

// Three outputs: 0 a relay, 1 a number up to 100 with safe value 7, 2 a display.
static uint32_t out[3];
static std::vector<std::string> done;
static std::string shown;

namespace primrack {
namespace parts {
bool set(uint8_t i, uint32_t v) {
  if (i == 0 && v > 1) return false;
  if (i == 1 && v > 100) return false;
  if (i == 2 && v > 0) return false;
  out[i] = v;
  done.push_back(std::to_string(i) + "=" + std::to_string(v));
  return true;
}
uint32_t safe_value(uint8_t i) { return i == 1 ? 7 : 0; }
bool show(uint8_t i, uint8_t row, const char* text) {
  if (i != 2) return false;
  shown = std::to_string(row) + ":" + std::string(text, 16);
  return true;
}
FlashText kind(uint8_t i) { return nth_word("rc522\0rdm6300\0button\0analog\0relay\0lamp\0lcd\0", i); }
FlashText name(uint8_t i) { return nth_word("door\0desk\0bell\0light\0latch\0tower\0screen\0", i); }
}  // namespace parts
}  // namespace primrack

// A board with its line; `ms` moves the clock in steps of one.
struct Rig {
  OutputState outputs[3];
  ReaderHealth readers[2] = {ReaderHealth::ok, ReaderHealth::ok};
  AnalogState analogs[1];
  Delivery state[7];
  Layout layout = {"gw-1.0.0", 127, 2, 1, 1, 3, outputs, readers, analogs, state};
  Board board;
  line::Items items;
  uint16_t host_seq = 0;

  explicit Rig(Cause cause = Cause::por, bool keep = false, uint16_t start_ms = 65000) {
    if (!keep) fake::reset();
    fake::machine().ms = start_ms;  // the clock wraps soon
    out[0] = 0;
    out[1] = 7;
    out[2] = 0;
    done.clear();
    shown.clear();
    board.begin(fake::machine().ms, layout, cause);
  }
  Rig(const Rig&) = delete;

  // Lets time pass; returns what the board said, items joined by spaces.
  std::string ms(unsigned n) {
    std::string said;
    for (unsigned i = 0; i < n; ++i) {
      ++fake::machine().ms;
      said += pass();
    }
    return said;
  }
  std::string pass() {
    std::string said;
    board.poll(fake::machine().ms);
    for (char b : fake::machine().tx)
      items.feed(static_cast<uint8_t>(b), [&said](const std::string& i) { said += i + " "; });
    fake::machine().tx.clear();
    return said;
  }
  void host(const std::string& body) { fake::machine().rx += line::frame(body) + "\n"; }
  std::string ask(const std::string& body) {
    host(body);
    return ms(1);
  }
  // Adopts and answers everything that the board then tells.
  void adopt(const std::string& session = "4711", const std::string& lease = "3000") {
    std::string said = ask("1 hi 1 " + session + " " + lease);
    for (int i = 0; i < 20; ++i) {
      answer(said);
      said = ms(1);
    }
  }
  // Says `got` for each event in these items.
  void answer(const std::string& said) {
    size_t at = 0;
    while ((at = said.find("ok:", at)) != std::string::npos) {
      at += 3;
      const size_t colon = said.find(':', at);
      const std::string seq = said.substr(at, colon - at), verb = said.substr(colon + 1, 3);
      if (seq != "0" && (verb == "tag" || verb == "wg:" || verb == "sun" || verb == "btn" || verb == "val" || verb == "out" || verb == "par" || verb == "los"))
        host(seq + " got");
    }
  }
};

static bool has(const std::string& all, const std::string& part) { return all.find(part) != std::string::npos; }
static unsigned count(const std::string& all, const std::string& part) {
  unsigned n = 0;
  for (size_t at = 0; (at = all.find(part, at)) != std::string::npos; at += part.size()) ++n;
  return n;
}
static const uint8_t UID[7] = {0x04, 0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6};

TEST("hello at once, then every two seconds until adopted, and when asked") {
  Rig r;
  CHECK_SAME(r.ms(1), "ok:0:hello:1|gw-1.0.0|board|1|por|127|r2b1a1o3 ");
  CHECK_SAME(r.ms(1990), "");
  CHECK(has(r.ms(20), "hello"));
  CHECK(count(r.ms(60000), "hello") == 30);
  CHECK_SAME(r.ask("0 who"), "ok:0:hello:1|gw-1.0.0|board|1|por|127|r2b1a1o3 ");
  r.adopt();
  std::string said;
  for (int i = 0; i < 10; ++i) {
    r.host("0 ping");
    said += r.ms(1000);
  }
  CHECK(!has(said, "hello"));
  CHECK(has(r.ask("0 who"), "hello"));
}

TEST("adoption is answered and states everything") {
  Rig r;
  r.ms(5);
  std::string said = r.ask("9 hi 1 4711 3000");
  CHECK(has(said, "ok:9:ok:4711 "));
  r.answer(said);
  for (int i = 0; i < 5; ++i) {
    const std::string more = r.ms(1);
    r.answer(more);
    said += more;
  }
  CHECK(has(said, "out:0|0|reset") && has(said, "out:1|7|reset") && has(said, "out:2|0|reset"));
  CHECK(has(said, "part:0|ok") && has(said, "part:1|ok") && has(said, "val:0|"));
  CHECK_SAME(r.ms(2000), "");  // all answered: nothing again
  CHECK(r.board.adopted());
  CHECK_SAME(r.ask("10 hi 1 4711 3000"), "ok:10:ok:4711 ");  // the same session: a sign of life and no more
  said = r.ask("11 hi 1 4712 3000");
  CHECK(has(said, "ok:11:ok:4712 ") && has(said, "out:0|0|hi"));
}

TEST("a host of another protocol or with nonsense is not adopted") {
  Rig r;
  r.ms(5);
  for (const char* bad : {"1 hi 2 4711 3000", "1 hi 1 0 3000", "1 hi 1 65536 3000", "1 hi 1 4711 499", "1 hi 1 4711 60001", "1 hi", "1 hi 1 4711", "1 hi 1 4711 3000 1", "1 hi 1 x 3000"})
    CHECK_SAME(r.ask(bad), "ok:1:no:arg ");
  CHECK(!r.board.adopted());
}

TEST("before adoption outputs are not to be had") {
  Rig r;
  r.ms(5);
  CHECK_SAME(r.ask("2 set 0 1 0"), "ok:2:no:hi ");
  CHECK_SAME(r.ask("3 txt 2 0 a"), "ok:3:no:hi ");
  CHECK(done.empty());
  CHECK_SAME(r.ask("4 part 4"), "ok:4:is:4|relay|latch ");
  CHECK_SAME(r.ask("5 stat"), "ok:5:stats:0|0|0|0|911 ");
}

TEST("a set is done once and answered each time; a new number does it again") {
  Rig r;
  r.adopt();
  CHECK_SAME(r.ask("2 set 0 1 500"), "ok:2:ok:1 ");
  CHECK_SAME(r.ask("2 set 0 1 500"), "ok:2:ok:1 ");
  CHECK(done.size() == 1);
  r.host("0 ping");
  const std::string said = r.ms(600);
  CHECK(has(said, "out:0|0|lease") && done.size() == 2);
  // The number comes late once more: the pulse is over and must not come again.
  CHECK(has(r.ask("2 set 0 1 500"), "ok:2:ok:0 "));
  CHECK(done.size() == 2 && out[0] == 0);
  CHECK(has(r.ask("3 set 0 1 500"), "ok:3:ok:1 "));
  CHECK(done.size() == 3 && out[0] == 1);
  // Numbers are remembered for each output.
  CHECK(has(r.ask("3 set 1 50 0"), "ok:3:ok:50 "));
  CHECK(out[1] == 50);
  // A new session begins its numbers anew.
  r.ask("1 hi 1 99 3000");
  CHECK(has(r.ask("3 set 0 0 0"), "ok:3:ok:0 "));
  CHECK(out[0] == 0);
}

TEST("a number that has gone round is new") {
  Rig r;
  r.adopt("4711", "60000");
  CHECK_SAME(r.ask("5 set 0 1 100"), "ok:5:ok:1 ");
  r.ms(200);
  for (unsigned n = 6; n != 5; n = n == 65535 ? 1 : n + 1) {
    if (n % 100 == 0) r.ask(std::to_string(n) + " part 0");
  }
  done.clear();
  CHECK_SAME(r.ask("5 set 0 1 100"), "ok:5:ok:1 ");
  CHECK(done.size() == 1 && out[0] == 1);
  CHECK_SAME(r.ask("5 set 0 1 100"), "ok:5:ok:1 ");
  CHECK(done.size() == 1);
}

TEST("number 0 is done and not answered") {
  Rig r;
  r.adopt();
  CHECK_SAME(r.ask("0 set 0 1 0"), "");
  CHECK_SAME(r.ask("0 set 0 0 0"), "");
  CHECK(done.size() == 2);
  CHECK_SAME(r.ask("0 zzz"), "");
  CHECK_SAME(r.ask("0 part 0"), "");
  CHECK_SAME(r.ask("0 stat"), "");
}

TEST("what cannot be is refused with the reason") {
  Rig r;
  r.adopt();
  CHECK_SAME(r.ask("2 set 3 1 0"), "ok:2:no:out ");
  CHECK_SAME(r.ask("2 set 256 1 0"), "ok:2:no:out ");
  CHECK_SAME(r.ask("2 set 0 2 0"), "ok:2:no:arg ");
  CHECK_SAME(r.ask("2 set 0 1"), "ok:2:no:arg ");
  CHECK_SAME(r.ask("2 set 0 1 0 0"), "ok:2:no:arg ");
  CHECK_SAME(r.ask("2 set 0 1 16777216"), "ok:2:no:arg ");
  CHECK_SAME(r.ask("2 set a 1 0"), "ok:2:no:arg ");
  CHECK_SAME(r.ask("2 part 7"), "ok:2:no:out ");
  CHECK_SAME(r.ask("2 part 6"), "ok:2:is:6|lcd|screen ");
  CHECK_SAME(r.ask("2 zzz 1"), "ok:2:no:verb ");
  CHECK_SAME(r.ask("2 ok 1"), "");
  CHECK_SAME(r.ask("2 no verb"), "");
  CHECK_SAME(r.ask("2 is 0 a b"), "");
  CHECK_SAME(r.ask("2 stats"), "");
  CHECK_SAME(r.ask("2 id"), "ok:2:no:arg ");
  CHECK_SAME(r.ask("2 id thirteenchars"), "ok:2:no:arg ");
  CHECK_SAME(r.ask("2 id a+b"), "ok:2:no:arg ");
  CHECK(done.empty());
}

TEST("a lease ends when it should, also a long one over many wraps of the clock") {
  for (unsigned lease : {1u, 500u, 2999u, 200000u}) {
    Rig r;
    r.adopt("1", "60000");
    r.ask("2 set 0 1 " + std::to_string(lease));
    unsigned passed = 0;
    while (out[0] == 1 && passed < lease + 10) {
      if (passed % 1000 == 0) r.host("0 ping");
      r.ms(1);
      ++passed;
    }
    CHECK(passed >= lease && passed <= lease + 1);
  }
}

TEST("a new set replaces value and lease") {
  Rig r;
  r.adopt();
  r.ask("2 set 0 1 100");
  r.ms(50);
  r.ask("3 set 0 1 0");
  r.host("0 ping");
  r.ms(1000);
  CHECK(out[0] == 1);
  r.ask("4 set 1 50 100");
  CHECK(has(r.ms(110), "out:1|7|lease"));
  CHECK(out[1] == 7);
}

TEST("a silent host: outputs safe at its lease, hello again, and told at the next adoption") {
  Rig r;
  r.adopt();
  r.ask("2 set 0 1 0");
  r.ask("3 set 1 50 0");
  const std::string before = r.ms(2995);
  CHECK(out[0] == 1 && out[1] == 50);
  r.ms(6);
  CHECK(out[0] == 0 && out[1] == 7 && !r.board.adopted());
  CHECK(has(r.ms(2000), "hello"));
  CHECK_SAME(r.ask("4 set 0 1 0"), "ok:4:no:hi ");
  std::string said = r.ask("5 hi 1 4711 3000");
  CHECK(has(said, "out:0|0|host") && has(said, "out:1|7|host") && has(said, "out:2|0|hi"));
}

TEST("asking who is no sign of life, anything else is") {
  Rig r;
  r.adopt();
  r.ask("2 set 0 1 0");
  for (int i = 0; i < 3; ++i) {
    r.ms(999);
    r.ask("0 who");
  }
  r.ms(10);
  CHECK(out[0] == 0);
  r.adopt("2");
  r.ask("3 set 0 1 0");
  for (const char* life : {"0 ping", "7 got", "7 zzz", "7 part 0"}) {
    r.ms(2900);
    r.ask(life);
  }
  CHECK(out[0] == 1);
}

TEST("damaged frames are no sign of life") {
  Rig r;
  r.adopt();
  r.ask("2 set 0 1 0");
  for (int i = 0; i < 40; ++i) {
    fake::machine().rx += "~0 ping*0000\n~~~\xff\n";
    r.ms(100);
  }
  CHECK(out[0] == 0);
  CHECK(r.board.refused() >= 40);
}

TEST("bye: safe at once") {
  Rig r;
  r.adopt();
  r.ask("2 set 0 1 0");
  r.ask("0 bye");
  CHECK(out[0] == 0 && !r.board.adopted());
  CHECK(has(r.ms(2010), "hello"));
}

TEST("a badge is sent until answered, with its age") {
  Rig r;
  r.adopt();
  r.board.tag(0, UID, 7);
  std::string said = r.ms(1);
  CHECK(has(said, ":tag:0|1|04A1B2C3D4E5F6 "));
  said = r.ms(249);
  CHECK_SAME(said, "");
  said = r.ms(2);
  CHECK(has(said, ":tag:0|251|04A1B2C3D4E5F6 "));
  r.answer(said);
  CHECK_SAME(r.ms(1000), "");
  CHECK(r.board.waiting() == 0);
}

TEST("an answer with a wrong number changes nothing") {
  Rig r;
  r.adopt();
  r.board.tag(0, UID, 4);
  r.ms(1);
  r.ask("0 got");
  r.ask("12345 got");
  CHECK(r.board.waiting() == 1);
}

TEST("every kind of event has its form") {
  Rig r;
  r.adopt();
  const uint8_t wg[4] = {0x7B, 0xB2, 0x6E, 0x01};
  uint8_t sun[24] = {};
  r.board.wiegand(1, wg, 26);
  r.board.button(0, true);
  std::string said = r.ms(1);
  CHECK(has(said, ":wg:1|1|26|7BB26E ") && has(said, ":btn:0|1|1 "));
  r.answer(said);
  r.board.wiegand(1, wg, 34);
  r.board.sun(0, sun);
  r.board.button(0, false);
  r.board.analog(0, 1023);
  said = r.ms(1);
  CHECK(has(said, ":wg:1|1|34|7BB26E01 ") && has(said, ":sun:0|1|AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ") && has(said, ":btn:0|1|0 "));
  CHECK(has(said, ":val:0|") || has(r.ms(1), ":val:0|"));
}

TEST("at most four events are out, the next come when these are answered") {
  Rig r;
  r.adopt();
  for (uint8_t i = 0; i < 6; ++i) r.board.button(0, i % 2 == 0);
  std::string said = r.ms(3);
  CHECK(count(said, ":btn:") == 4);
  r.answer(said);
  said = r.ms(3);
  CHECK(count(said, ":btn:") == 2);
}

TEST("a full queue drops the oldest and says how many") {
  Rig r;
  r.adopt();
  for (uint8_t i = 0; i < 11; ++i) {
    uint8_t uid[4] = {1, 2, 3, i};
    r.board.tag(0, uid, 4);
  }
  CHECK(r.board.waiting() == 8 && r.board.lost() == 3);
  std::string all;
  for (int i = 0; i < 20; ++i) {
    const std::string said = r.ms(1);
    r.answer(said);
    all += said;
  }
  CHECK(count(all, ":tag:") == 8 && !has(all, "01020302 ") && has(all, "01020303 ") && has(all, "0102030A "));
  CHECK(has(all, ":lost:3 "));
  CHECK_SAME(r.ms(1000), "");
}

TEST("a second SUN message drops an unanswered first") {
  Rig r;
  r.adopt();
  uint8_t sun[24] = {};
  r.board.sun(0, sun);
  sun[0] = 0xFF;
  r.board.sun(0, sun);
  const std::string said = r.ms(2);
  CHECK(count(said, ":sun:") == 1 && has(said, "_wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA") && r.board.lost() == 1);
}

TEST("alone, a badge is shown once and sent again after adoption, with its age and number") {
  Rig r;
  r.ms(5);
  r.board.tag(0, UID, 4);
  std::string said = r.ms(1000);
  CHECK(count(said, ":tag:") == 1);
  const size_t at = said.find(":tag:");
  const size_t from = said.rfind("ok:", at) + 3;
  const std::string seq = said.substr(from, at - from);
  r.ask(seq + " got");  // nobody has adopted: not taken
  CHECK(r.board.waiting() == 1);
  said = r.ask("1 hi 1 4711 3000");
  CHECK(has(said, "ok:" + seq + ":tag:0|1002|"));
}

TEST("an age saturates and never looks fresh again") {
  Rig r;
  r.ms(5);
  r.board.tag(0, UID, 4);
  r.ms(70000);
  CHECK(has(r.ask("1 hi 1 4711 3000"), ":tag:0|65535|"));
  r.ask("0 bye");
  for (int i = 0; i < 3; ++i) r.ms(65536);
  CHECK(has(r.ask("1 hi 1 4712 3000"), ":tag:0|65535|"));
}

TEST("states keep only the newest, under a new number") {
  Rig r;
  r.adopt();
  r.board.analog(0, 100);
  const std::string first = r.ms(1);
  r.board.analog(0, 200);
  std::string said = r.ms(1);
  CHECK(has(said, "|200 ") && !has(said, "|100 "));
  r.answer(first);  // the answer to the old one must not silence the new one
  said = r.ms(260);
  CHECK(has(said, "|200 "));
  r.answer(said);
  CHECK_SAME(r.ms(600), "");
  r.board.health(1, ReaderHealth::deaf);
  r.board.health(1, ReaderHealth::healed);
  said = r.ms(1);
  CHECK(has(said, "part:1|healed ") && !has(said, "deaf"));
}

TEST("what is told of an output's past is not told after a new set") {
  Rig r;
  r.adopt();
  r.ask("2 set 0 1 10");
  fake::machine().tx_blocked = true;
  r.ms(20);
  fake::machine().tx_blocked = false;
  CHECK(out[0] == 0);
  const std::string said = r.ask("3 set 0 1 0");
  CHECK(has(said, "ok:3:ok:1 ") && out[0] == 1);
  CHECK(!has(r.ms(500), "lease"));
}

TEST("no room to answer: the request waits in the receive buffer, nothing is lost") {
  Rig r;
  r.adopt();
  fake::machine().tx_blocked = true;
  r.host("2 set 0 1 0");
  r.host("3 set 1 50 0");
  r.host("4 stat");
  r.host("5 part 0");
  r.ms(10);
  r.ms(10);
  CHECK(!fake::machine().rx.empty());
  fake::machine().tx_blocked = false;
  std::string said = r.ms(5);
  CHECK(out[0] == 1 && out[1] == 50 && fake::machine().rx.empty());
  // What had room before was kept by the fake line, too.
  CHECK(has(said, "ok:5:is:0|rc522|door "));
}

TEST("text for a display") {
  Rig r;
  r.adopt();
  CHECK_SAME(r.ask("2 txt 2 0 Hello,_world"), "ok:2:ok:1 ");
  CHECK_SAME(shown, "0:Hello, world    ");
  CHECK_SAME(r.ask("3 txt 2 1 100%25_%7E%2A%5F"), "ok:3:ok:1 ");
  CHECK_SAME(shown, "1:100% ~*_        ");
  CHECK_SAME(r.ask("3 txt 2 1 0123456789abcdef"), "ok:3:ok:1 ");
  CHECK_SAME(r.ask("3 txt 2 1 0123456789abcdefg"), "ok:3:no:arg ");
  CHECK_SAME(r.ask("3 txt 2 2 a"), "ok:3:no:arg ");
  CHECK_SAME(r.ask("3 txt 0 0 a"), "ok:3:no:out ");
  CHECK_SAME(r.ask("3 txt 2 0 a%2"), "ok:3:no:arg ");
  CHECK_SAME(r.ask("3 txt 2 0 a%"), "ok:3:no:arg ");
  CHECK_SAME(r.ask("3 txt 2 0 a%2g"), "ok:3:no:arg ");
  // The session ends: it is cleared, and said.
  r.ms(3000);
  CHECK(out[2] == 0 && done.back() == "2=0");
}

TEST("numbers of events wrap from 65535 to 1") {
  Rig r;
  r.adopt();
  bool zero = false, one = false;
  for (unsigned i = 0; i < 65600; ++i) {
    r.board.button(0, i % 2 == 0);
    const std::string said = r.pass();
    zero = zero || has(said, "ok:0:btn");
    one = one || has(said, "ok:1:btn");
    r.answer(said);
    r.pass();
    if (i % 500 == 0) r.ms(1);
  }
  CHECK(!zero && one && r.board.lost() == 0);
}

TEST("boot number, brown-outs and name live in the EEPROM; a torn record costs one count") {
  fake::reset();
  {
    Rig r(Cause::por, true);
    CHECK(has(r.ms(50), "|board|1|por|"));
    CHECK_SAME(r.ask("1 id front-door"), "ok:1:ok:1 ok:0:hello:1|gw-1.0.0|front-door|1|por|127|r2b1a1o3 ");
    r.ms(50);
  }
  for (unsigned boot = 2; boot <= 20; ++boot) {
    Rig r(Cause::bod, true);
    CHECK(has(r.ms(50), "|front-door|" + std::to_string(boot) + "|bod|"));
    CHECK(has(r.ask("2 stat"), "stats:" + std::to_string(boot - 1) + "|0|"));
  }
  {
    Rig r(Cause::wdt, true);
    r.ms(3);  // power fails after three bytes of the record
  }
  {
    Rig r(Cause::wdt, true);
    CHECK(has(r.ms(50), "|front-door|21|wdt|"));
    CHECK(has(r.ask("2 stat"), "stats:19|1|"));
  }
  // Worn or never written: a name with a wrong sum is none.
  fake::machine().eeprom[0] = 'F';
  Rig r(Cause::ext, true);
  CHECK(has(r.ms(50), "|board|22|ext|"));
}

TEST("the EEPROM is not waited for, and a second name meanwhile is refused") {
  Rig r;
  r.ms(50);
  fake::machine().eeprom_busy = true;
  CHECK(has(r.ask("1 id a"), "ok:1:ok:1"));
  r.ms(10);
  CHECK_SAME(r.ask("2 id b"), "ok:2:no:busy ");
  CHECK(has(r.ask("1 id a"), "ok:1:ok:1"));  // the same again is no second name
  fake::machine().eeprom_busy = false;
  r.ms(20);
  CHECK(has(r.ask("2 id b"), "ok:2:ok:1"));
}

TEST("the boot number wraps") {
  fake::reset();
  const uint8_t record[8] = {0xFF, 0xFF, 1, 0, 0, 0, 0, 0};
  for (int i = 0; i < 8; ++i) fake::machine().eeprom[16 + i] = record[i];
  const uint16_t c = line::crc(std::string(reinterpret_cast<const char*>(record), 6));
  fake::machine().eeprom[22] = static_cast<uint8_t>(c);
  fake::machine().eeprom[23] = static_cast<uint8_t>(c >> 8);
  { Rig r(Cause::por, true); CHECK(has(r.ms(50), "|0|por|")); }
  Rig r(Cause::por, true);
  CHECK(has(r.ms(50), "|1|por|"));
}

TEST("a flood of garbage costs nothing but what was in it") {
  Rig r;
  r.adopt();
  r.ask("2 set 0 1 0");
  uint32_t x = 12345;
  for (int i = 0; i < 20000; ++i) {
    x = x * 1664525 + 1013904223;
    fake::machine().rx += static_cast<char>(x >> 24);
    if (i % 11 == 0) r.ms(1);
    if (i % 5000 == 0) fake::machine().rx += "\n" + line::frame("0 ping") + "\n";
  }
  CHECK(out[0] == 1 && done.size() == 1);
  r.ms(1);
  CHECK(has(r.ask("3 set 0 0 0"), "ok:3:ok:0") || has(r.ask("3 set 0 0 0"), "ok:3:ok:0"));
  CHECK(out[0] == 0);
}

int main() { return check::main("board"); }
