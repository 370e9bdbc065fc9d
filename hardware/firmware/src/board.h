// One board's side of the line: session, outputs with leases, events until they are answered. See ../../PROTOCOL.md.
//
//         reset ──▶ alone ── hi ──▶ adopted ── silence or bye ──▶ alone
#pragma once
#include <stdint.h>

#include "event.h"
#include "frame.h"
#include "identity.h"

namespace primrack {

const uint16_t BEACON_MS = 2000;

enum class Why : uint8_t { reset, hi, lease, host };

enum class ReaderHealth : uint8_t { ok, deaf, healed };

struct OutputState {
  uint32_t value = 0;
  uint32_t lease_left = 0;  // ms; 0 = as long as the session
  uint16_t executed = 0;    // number of the last set of this session; 0 = none
  Why why = Why::reset;
};

struct AnalogState {
  uint16_t value = 0;
  uint16_t age = 0;
};

// The arrays are the sketch's: each board pays for what it has. No array may be null while its count is not 0.
struct Layout {
  FlashText firmware;
  uint16_t receive_buffer;
  uint8_t readers, buttons, analogs, outputs;
  OutputState* output;
  ReaderHealth* reader;
  AnalogState* analog;
  Delivery* state;  // one for each output, reader and analogue input, in this order, and one for `lost`
};

class Board {
 public:
  // Outputs must be safe already. Says hello. The layout must live as long as the board.
  void begin(uint16_t now, const Layout& layout, Cause cause);
  // Reads the line, ends leases, sends what waits. Never waits itself.
  void poll(uint16_t now);

  // What parts tell.
  void tag(uint8_t reader, const uint8_t* uid, uint8_t len);
  void wiegand(uint8_t reader, const uint8_t* payload, uint8_t bits);
  void sun(uint8_t reader, const uint8_t* message);
  void button(uint8_t index, bool pressed);
  void analog(uint8_t index, uint16_t value);
  void health(uint8_t reader, ReaderHealth health);

  bool adopted() const { return session_ != 0; }
  uint16_t refused() const { return refused_; }
  uint16_t lost() const { return lost_; }
  const Identity& identity() const { return identity_; }
  uint8_t waiting() { return queue_.size(); }

 private:
  void handle(const Frame& f);
  static bool numbers(const Frame& f, uint8_t count, uint32_t* out);
  void adopt(const Frame& f);
  void set(const Frame& f);
  void show(const Frame& f);
  void part(const Frame& f);
  void got(uint16_t seq);
  void end_session();
  void make_safe(uint8_t output, Why why);
  void end_leases(uint16_t ms);
  void send_events();
  bool due(Delivery& d);
  void send(const Happening& h);
  void hello();
  void ok(uint16_t seq, uint32_t value);
  void refuse(uint16_t seq, FlashText reason);
  uint16_t next_seq();
  void fresh(uint8_t state);
  void dropped(uint8_t count);
  void send_state(uint8_t i, uint16_t seq);
  uint8_t states() const { return static_cast<uint8_t>(layout_->outputs + layout_->readers + layout_->analogs + 1); }

  const Layout* layout_ = nullptr;
  Decoder decoder_;
  Queue queue_;
  Identity identity_;
  uint16_t now_ = 0;       // of this pass
  uint16_t heard_ = 0;
  uint16_t hello_at_ = 0;
  uint16_t session_ = 0;
  uint16_t newest_ = 0;    // number of the host's newest request in this session
  uint16_t host_lease_ = 0;
  uint16_t seq_ = 0;
  uint16_t refused_ = 0;
  uint16_t lost_ = 0;
  uint8_t in_flight_ = 0;  // counted anew in each pass
  bool repeated_ = false;  // this request is not newer than newest_ was
  bool hello_due_ = false;
};

}  // namespace primrack
