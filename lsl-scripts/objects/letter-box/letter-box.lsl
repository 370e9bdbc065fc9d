// A letter-box: its flag goes up when something has come. Touching it says that it was fetched; the bridge then lowers the
// flag for everybody.

string CARD = "letter-box.conf";
string WHAT = "letter-box";
integer UNNAMED = 1; // every prim is touched for unit 1
string OWN = "moves, amount";
string MAIN = "flag";
string WAY = "raise";
integer AMOUNT = 90;

list LOOKS = [
    "off", <0.5, 0.16, 0.14>, 0.0, 0, 1.0, 0,
    "starting", <1.0, 0.8, 0.1>, 0.1, 70, 1.0, 0,
    "on", <1.0, 0.15, 0.1>, 0.3, 100, 1.0, 0,
    "stopping", <1.0, 0.5, 0.1>, 0.05, 30, 1.0, 0,
    "paused", <0.85, 0.5, 0.2>, 0.0, 0, 1.0, 0,
    "crashed", <0.8, 0.1, 0.6>, 0.2, 50, 1.0, 0,
    "unknown", <0.6, 0.6, 0.6>, 0.0, 50, 0.45, 0];

//#include pose.lsl
//#include thing.lsl
//#include plain.lsl

//#include object.lsl
