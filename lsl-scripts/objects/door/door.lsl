// A door: its leaf swings or slides as the bridge says that the door stands. Who may open it is decided there, and so is
// when it closes by itself.

string CARD = "door.conf";
string WHAT = "door";
integer UNNAMED = 1; // every prim is touched for unit 1
string OWN = "moves, amount";
string MAIN = "leaf";
string WAY = "swing";
integer AMOUNT = 95;

// Nobody knows: the leaf stays where it was last, but can be seen through.
list LOOKS = [
    "off", <0.42, 0.45, 0.5>, 0.0, 0, 1.0, 0,
    "starting", <1.0, 0.8, 0.1>, 0.1, 30, 1.0, 0,
    "on", <0.1, 0.85, 0.3>, 0.15, 100, 1.0, 0,
    "stopping", <1.0, 0.5, 0.1>, 0.05, 60, 1.0, 0,
    "crashed", <1.0, 0.1, 0.1>, 0.3, 1000, 0.8, 0,
    "unknown", <0.6, 0.6, 0.6>, 0.0, 1000, 0.45, 0];

//#include pose.lsl
//#include thing.lsl
//#include plain.lsl

//#include object.lsl
