// A lamp: its bulb shines and lights what is around it while its target is on.

string CARD = "lamp.conf";
string WHAT = "lamp";
integer UNNAMED = 1; // every prim is touched for unit 1
string OWN = "colour, reach";
string MAIN = "bulb";
string WAY = "none";
integer AMOUNT = 0;

list LOOKS = [
    "off", <0.3, 0.3, 0.32>, 0.0, 0, 1.0, 0,
    "starting", <1.0, 0.8, 0.3>, 0.1, 0, 1.0, 0,
    "on", <1.0, 0.92, 0.7>, 0.4, 0, 1.0, 1,
    "stopping", <0.6, 0.5, 0.3>, 0.05, 0, 1.0, 0,
    "crashed", <1.0, 0.1, 0.1>, 0.1, 0, 1.0, 0,
    "unknown", <0.6, 0.6, 0.6>, 0.0, 0, 0.45, 0];

list COLOURS = ["warm", <1.0, 0.92, 0.7>, "white", <1.0, 1.0, 1.0>, "red", <1.0, 0.15, 0.1>,
    "yellow", <1.0, 0.85, 0.1>, "green", <0.15, 1.0, 0.3>, "blue", <0.25, 0.45, 1.0>];

//#include pose.lsl
//#include thing.lsl

// The colour of its light.
lightIn(vector colour)
{
    integer at = llListFindList(LOOKS, ["on"]) + 1;
    LOOKS = llListReplaceList(LOOKS, [colour], at, at);
}

ownForget()
{
    thingForget();
    lightIn(llList2Vector(COLOURS, 1));
}

string ownSetting(string name, string value)
{
    if (name != "colour") return thingSetting(name, value);
    integer at = llListFindList(COLOURS, [llToLower(value)]);
    if (at < 0) return "colour is warm, white, red, yellow, green or blue";
    lightIn(llList2Vector(COLOURS, at + 1));
    return "";
}

effect(integer link, string what)
{
}

//#include object.lsl
