#include "board.h"

#include <string.h>

#include "hal.h"
#include "parts.h"

namespace primrack {

static const uint32_t NUM_MAX = 16777215;
static const uint8_t LCD_COLUMNS = 16;
static const uint8_t ROOM = FRAME_MAX + 1;  // a whole frame with its line end

void Board::begin(uint16_t now, const Layout& layout, Cause cause) {
  layout_ = &layout;
  now_ = hello_at_ = now;
  identity_.begin(cause);
  for (uint8_t i = 0; i < layout_->outputs; ++i) {
    layout_->output[i].value = parts::safe_value(i);
    layout_->output[i].why = Why::reset;
    fresh(i);
  }
  hello_due_ = true;
}

void Board::poll(uint16_t now) {
  const uint16_t passed = static_cast<uint16_t>(now - now_);
  now_ = now;
  // Before the line is read: a lease that begins now has not lost this pass.
  if (passed != 0) {
    end_leases(passed);
    queue_.age(passed);
    for (uint8_t i = 0; i < layout_->analogs; ++i) layout_->analog[i].age = saturated(layout_->analog[i].age, passed);
  }
  // An answer needs room: what cannot be answered yet stays in the receive buffer, which the host knows the size of.
  Frame frame;
  while (hal::uart_room() >= ROOM) {
    const int16_t byte = hal::uart_read();
    if (byte < 0) break;
    const Decoder::Item item = decoder_.feed(static_cast<uint8_t>(byte), frame);
    if (item == Decoder::Item::frame) handle(frame);
    if (item == Decoder::Item::refused) refused_ = saturated(refused_, 1);
  }
  if (adopted()) {
    if (static_cast<uint16_t>(now - heard_) >= host_lease_) end_session();
  } else if (static_cast<uint16_t>(now - hello_at_) >= BEACON_MS) {
    hello_due_ = true;
  }
  if (hello_due_ && hal::uart_room() >= ROOM) hello();
  send_events();
  identity_.poll();
}

// ---------------------------------------------------------------- what the host says

enum class Verb : uint8_t { who, got, ping, set, hi, bye, txt, part, stat, id, other };

static Verb verb_of(const char* verb) {
  static const char WORDS[] PRIMRACK_IN_FLASH = "who\0got\0ping\0set\0hi\0bye\0txt\0part\0stat\0id\0";
  uint8_t v = 0;
  while (v < static_cast<uint8_t>(Verb::other) && !same(verb, nth_word(WORDS, v))) ++v;
  return static_cast<Verb>(v);
}

static bool is_answer(const char* verb) {
  static const char WORDS[] PRIMRACK_IN_FLASH = "ok\0no\0is\0stats\0";
  for (uint8_t i = 0; i < 4; ++i)
    if (same(verb, nth_word(WORDS, i))) return true;
  return false;
}

void Board::handle(const Frame& f) {
  const Verb verb = verb_of(f.verb);
  if (verb == Verb::who) {  // asking is no sign of life
    hello_due_ = true;
    return;
  }
  heard_ = now_;
  if (verb == Verb::got) return got(f.seq);  // its number is one of ours
  if (f.seq != 0) {
    repeated_ = static_cast<int16_t>(f.seq - newest_) <= 0;
    if (!repeated_) newest_ = f.seq;
  }
  switch (verb) {
    case Verb::set: return set(f);
    case Verb::hi: return adopt(f);
    case Verb::txt: return show(f);
    case Verb::part: return part(f);
    case Verb::bye:
      if (adopted()) end_session();
      return;
    case Verb::stat:
      if (f.seq == 0) return;
      put::begin(f.seq, PRIMRACK_FLASH("stats"));
      put::small(identity_.brown_outs());
      put::small(identity_.watchdogs());
      put::small(refused_);
      put::small(lost_);
      put::small(hal::least_free_ram());
      return put::end();
    case Verb::id:
      switch (f.args == 1 ? identity_.rename(f.arg[0]) : Identity::Naming::invalid) {
        case Identity::Naming::taken: hello_due_ = true; return ok(f.seq, 1);
        case Identity::Naming::busy: return refuse(f.seq, PRIMRACK_FLASH("busy"));
        default: return refuse(f.seq, PRIMRACK_FLASH("arg"));
      }
    case Verb::ping: return;  // it lives: that is all
    default:
      // An answer to nothing that was asked: two boards on one line, or an echo. Answering it could go on for ever.
      if (!is_answer(f.verb)) refuse(f.seq, PRIMRACK_FLASH("verb"));
  }
}

// The first `count` arguments as numbers.
bool Board::numbers(const Frame& f, uint8_t count, uint32_t* out) {
  if (f.args < count) return false;
  for (uint8_t i = 0; i < count; ++i)
    if (!parse_number(f.arg[i], NUM_MAX, out[i])) return false;
  return true;
}

void Board::adopt(const Frame& f) {
  uint32_t n[3];  // protocol, session, lease
  if (f.args != 3 || !numbers(f, 3, n) || n[0] != 1 || n[1] == 0 || n[1] > 65535 || n[2] < 500 || n[2] > 60000)
    return refuse(f.seq, PRIMRACK_FLASH("arg"));
  const uint16_t session = static_cast<uint16_t>(n[1]);
  host_lease_ = static_cast<uint16_t>(n[2]);
  if (session_ != session) {
    session_ = session;
    newest_ = f.seq;
    queue_.recall();
    for (uint8_t i = 0; i < layout_->outputs; ++i) {
      layout_->output[i].executed = 0;
      if (!layout_->state[i].waits()) layout_->output[i].why = Why::hi;
    }
    const uint8_t lost = static_cast<uint8_t>(states() - 1);
    for (uint8_t i = 0; i < states(); ++i)
      if (i != lost || layout_->state[i].waits()) fresh(i);
  }
  ok(f.seq, session);
}

void Board::set(const Frame& f) {
  uint32_t n[3];  // output, value, lease
  if (!adopted()) return refuse(f.seq, PRIMRACK_FLASH("hi"));
  if (f.args != 3 || !numbers(f, 3, n)) return refuse(f.seq, PRIMRACK_FLASH("arg"));
  if (n[0] >= layout_->outputs) return refuse(f.seq, PRIMRACK_FLASH("out"));
  const uint8_t i = static_cast<uint8_t>(n[0]);
  OutputState& o = layout_->output[i];
  // The same number again: its answer was lost. Doing it twice would give a short pulse twice. (The same number after the host's have gone round
  // is newer than all before, and no repetition.)
  if (f.seq == 0 || f.seq != o.executed || !repeated_) {
    if (!parts::set(i, n[1])) return refuse(f.seq, PRIMRACK_FLASH("arg"));
    o.executed = f.seq;
    o.value = n[1];
    o.lease_left = n[2];
    layout_->state[i].step = Delivery::Step::none;  // what was to be told of its past is no longer true
  }
  ok(f.seq, o.value);
}

// TEXT of `txt` into 16 characters padded with blanks; false if it is no such text.
static bool decode_text(const char* in, char* out) {
  memset(out, ' ', LCD_COLUMNS);
  for (uint8_t n = 0; *in != 0; ++n) {
    if (n == LCD_COLUMNS) return false;
    char c = *in++;
    if (c == '_') c = ' ';
    if (c == '%') {
      c = 0;
      for (uint8_t k = 0; k < 2; ++k) {
        const int8_t digit = hex_digit(*in++);
        if (digit < 0) return false;
        c = static_cast<char>(c << 4 | digit);
      }
    }
    out[n] = c;
  }
  return true;
}

void Board::show(const Frame& f) {
  uint32_t n[2];  // output, row
  char text[LCD_COLUMNS];
  if (!adopted()) return refuse(f.seq, PRIMRACK_FLASH("hi"));
  if (f.args != 3 || !numbers(f, 2, n) || n[1] > 1 || !decode_text(f.arg[2], text)) return refuse(f.seq, PRIMRACK_FLASH("arg"));
  const uint8_t i = static_cast<uint8_t>(n[0]);
  if (n[0] >= layout_->outputs || !parts::show(i, static_cast<uint8_t>(n[1]), text)) return refuse(f.seq, PRIMRACK_FLASH("out"));
  layout_->output[i].value = 1;
  ok(f.seq, 1);
}

void Board::part(const Frame& f) {
  uint32_t n;
  if (f.args != 1 || !numbers(f, 1, &n)) return refuse(f.seq, PRIMRACK_FLASH("arg"));
  if (n >= static_cast<uint8_t>(layout_->readers + layout_->buttons + layout_->analogs + layout_->outputs)) return refuse(f.seq, PRIMRACK_FLASH("out"));
  if (f.seq == 0) return;
  const uint8_t i = static_cast<uint8_t>(n);
  put::begin(f.seq, PRIMRACK_FLASH("is"));
  put::small(i);
  put::flash(parts::kind(i));
  put::flash(parts::name(i));
  put::end();
}

void Board::got(uint16_t seq) {
  if (!adopted() || queue_.answered(seq)) return;
  for (uint8_t i = 0; i < states(); ++i) {
    Delivery& d = layout_->state[i];
    if (d.seq == seq && d.step == Delivery::Step::out) d.step = Delivery::Step::none;
  }
}

void Board::ok(uint16_t seq, uint32_t value) {
  if (seq == 0) return;
  put::begin(seq, PRIMRACK_FLASH("ok"));
  put::number(value);
  put::end();
}

void Board::refuse(uint16_t seq, FlashText reason) {
  if (seq == 0) return;
  put::begin(seq, PRIMRACK_FLASH("no"));
  put::flash(reason);
  put::end();
}

// ---------------------------------------------------------------- outputs that nobody commands any more

void Board::make_safe(uint8_t i, Why why) {
  OutputState& o = layout_->output[i];
  const uint32_t safe = parts::safe_value(i);
  o.lease_left = 0;
  if (o.value == safe) return;
  parts::set(i, safe);
  o.value = safe;
  o.why = why;
  fresh(i);
}

void Board::end_session() {
  session_ = 0;
  for (uint8_t i = 0; i < layout_->outputs; ++i) make_safe(i, Why::host);
  queue_.recall();
  hello_at_ = now_;
}

// `executed` stays: the number of a set whose lease is over, sent again late, must not give the pulse again.
void Board::end_leases(uint16_t ms) {
  for (uint8_t i = 0; i < layout_->outputs; ++i) {
    uint32_t& left = layout_->output[i].lease_left;
    if (left == 0) continue;
    if (left > ms) {
      left -= ms;
    } else {
      make_safe(i, Why::lease);
    }
  }
}

// ---------------------------------------------------------------- what the board tells

uint16_t Board::next_seq() {
  if (++seq_ == 0) seq_ = 1;
  return seq_;
}

void Board::fresh(uint8_t state) {
  layout_->state[state].seq = next_seq();
  layout_->state[state].step = Delivery::Step::fresh;
}

void Board::dropped(uint8_t count) {
  if (count == 0) return;
  lost_ = saturated(lost_, count);
  fresh(static_cast<uint8_t>(states() - 1));
}

void Board::tag(uint8_t reader, const uint8_t* uid, uint8_t len) {
  dropped(queue_.push(next_seq(), HappeningKind::tag, reader, uid, len, len));
}

void Board::wiegand(uint8_t reader, const uint8_t* payload, uint8_t bits) {
  dropped(queue_.push(next_seq(), HappeningKind::wiegand, reader, payload, 4, bits));
}

void Board::sun(uint8_t reader, const uint8_t* message) { dropped(queue_.push_sun(next_seq(), reader, message)); }

void Board::button(uint8_t index, bool pressed) {
  const uint8_t down = pressed;
  dropped(queue_.push(next_seq(), HappeningKind::button, index, &down, 1, 1));
}

void Board::analog(uint8_t index, uint16_t value) {
  layout_->analog[index].value = value;
  layout_->analog[index].age = 0;
  fresh(static_cast<uint8_t>(layout_->outputs + layout_->readers + index));
}

void Board::health(uint8_t reader, ReaderHealth health) {
  layout_->reader[reader] = health;
  fresh(static_cast<uint8_t>(layout_->outputs + reader));
}

// Is this to be sent now? If so it counts as sent.
bool Board::due(Delivery& d) {
  if (!d.waits() || hal::uart_room() < ROOM) return false;
  if (d.step == Delivery::Step::out) {
    if (static_cast<uint16_t>(now_ - d.sent) < RESEND_MS) return false;
  } else {
    if (in_flight_ >= IN_FLIGHT_MAX) return false;
    ++in_flight_;
  }
  d.step = Delivery::Step::out;
  d.sent = now_;
  return true;
}

void Board::send(const Happening& h) {
  put::begin(h.delivery.seq, nth_word(PRIMRACK_FLASH("tag\0wg\0sun\0btn\0"), static_cast<uint8_t>(h.kind)));
  put::small(h.index);
  put::small(h.age);
  switch (h.kind) {
    case HappeningKind::tag: put::hex(h.data, h.len); break;
    case HappeningKind::wiegand:
      put::small(h.len);
      put::hex(h.data, h.len == 26 ? 3 : 4);
      break;
    case HappeningKind::sun: put::base64url(queue_.sun(), SUN_LEN); break;
    case HappeningKind::button: put::small(h.data[0]); break;
  }
  put::end();
}

void Board::send_state(uint8_t i, uint16_t seq) {
  if (i < layout_->outputs) {
    put::begin(seq, PRIMRACK_FLASH("out"));
    put::small(i);
    put::number(layout_->output[i].value);
    put::flash(nth_word(PRIMRACK_FLASH("reset\0hi\0lease\0host\0"), static_cast<uint8_t>(layout_->output[i].why)));
    return put::end();
  }
  i = static_cast<uint8_t>(i - layout_->outputs);
  if (i < layout_->readers) {
    put::begin(seq, PRIMRACK_FLASH("part"));
    put::small(i);
    put::flash(nth_word(PRIMRACK_FLASH("ok\0deaf\0healed\0"), static_cast<uint8_t>(layout_->reader[i])));
    return put::end();
  }
  i = static_cast<uint8_t>(i - layout_->readers);
  if (i < layout_->analogs) {
    put::begin(seq, PRIMRACK_FLASH("val"));
    put::small(i);
    put::small(layout_->analog[i].age);
    put::small(layout_->analog[i].value);
    return put::end();
  }
  put::begin(seq, PRIMRACK_FLASH("lost"));
  put::small(lost_);
  put::end();
}

void Board::send_events() {
  in_flight_ = 0;
  for (uint8_t i = 0; i < queue_.size(); ++i) {
    Delivery& d = queue_.at(i).delivery;
    if (d.step == Delivery::Step::out) ++in_flight_;
    if (!adopted() && d.step == Delivery::Step::fresh && hal::uart_room() >= ROOM) {  // once, for whoever looks at the line
      d.step = Delivery::Step::shown;
      send(queue_.at(i));
    }
  }
  if (!adopted()) return;
  for (uint8_t i = 0; i < states(); ++i)
    if (layout_->state[i].step == Delivery::Step::out) ++in_flight_;
  for (uint8_t i = 0; i < queue_.size(); ++i)
    if (due(queue_.at(i).delivery)) send(queue_.at(i));
  for (uint8_t i = 0; i < states(); ++i)
    if (due(layout_->state[i])) send_state(i, layout_->state[i].seq);
}

void Board::hello() {
  hello_due_ = false;
  hello_at_ = now_;
  const uint8_t counts[] = {layout_->readers, layout_->buttons, layout_->analogs, layout_->outputs};
  char caps[9];
  for (uint8_t i = 0; i < 4; ++i) {
    caps[2 * i] = flash_char(PRIMRACK_FLASH("rbao") + i);
    caps[2 * i + 1] = static_cast<char>('0' + counts[i]);
  }
  caps[8] = 0;
  put::begin(0, PRIMRACK_FLASH("hello"));
  put::small(1);
  put::flash(layout_->firmware);
  put::text(identity_.id());
  put::small(identity_.boot());
  put::flash(nth_word(PRIMRACK_FLASH("por\0ext\0bod\0wdt\0sw\0unk\0"), static_cast<uint8_t>(identity_.cause())));
  put::small(layout_->receive_buffer);
  put::text(caps);
  put::end();
}

}  // namespace primrack
