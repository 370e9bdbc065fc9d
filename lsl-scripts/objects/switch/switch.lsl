// A switch: its rocker tilts to one side or the other as its target is on or off. Touching it asks the bridge.

string CARD = "switch.conf";
string WHAT = "switch";
integer UNNAMED = 1; // every prim is touched for unit 1
string OWN = "moves, amount";
string MAIN = "rocker";
string WAY = "tilt";
integer AMOUNT = 12;

// It is built in the middle, and there it is when nobody knows.
list LOOKS = [
    "off", <0.75, 0.76, 0.78>, 0.0, -100, 1.0, 0,
    "starting", <1.0, 0.85, 0.3>, 0.05, 50, 1.0, 0,
    "on", <0.55, 1.0, 0.65>, 0.1, 100, 1.0, 0,
    "stopping", <1.0, 0.6, 0.2>, 0.05, -50, 1.0, 0,
    "crashed", <1.0, 0.1, 0.1>, 0.3, 0, 1.0, 0,
    "unknown", <0.6, 0.6, 0.6>, 0.0, 0, 0.45, 0];

//#include pose.lsl
//#include thing.lsl
//#include plain.lsl

//#include object.lsl
