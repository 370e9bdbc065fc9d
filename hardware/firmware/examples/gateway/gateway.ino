// The gateway: all readers, inputs and outputs of the board's file (src/boards/), on the line to the bridge.
#include <Primrack.h>

void setup() {
  primrack::machine::begin();
  primrack::gateway::begin(primrack::machine::reset_cause());
}

void loop() {
  primrack::gateway::poll();
  primrack::machine::rest();
}
