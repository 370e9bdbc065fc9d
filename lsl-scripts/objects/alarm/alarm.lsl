// An alarm: while it sounds, its beacon turns and shines and its siren is heard; once acknowledged it shines steadily and
// is silent. Everything that moves is done by each viewer for itself, so the grid is told only when the state changes.

string CARD = "alarm.conf";
string WHAT = "alarm";
integer UNNAMED = 1; // every prim is touched for unit 1
string OWN = "sound, volume, reach";
string MAIN = "beacon";
string WAY = "none";
integer AMOUNT = 0;

list LOOKS = [
    "off", <0.35, 0.16, 0.14>, 0.0, 0, 1.0, 0,
    "stopping", <0.35, 0.16, 0.14>, 0.0, 0, 1.0, 0,
    "starting", <1.0, 0.1, 0.05>, 0.7, 0, 1.0, 3,
    "on", <1.0, 0.1, 0.05>, 0.7, 0, 1.0, 3,
    "paused", <1.0, 0.6, 0.05>, 0.25, 0, 1.0, 1,
    "crashed", <0.8, 0.1, 0.6>, 0.25, 0, 1.0, 0,
    "unknown", <0.6, 0.6, 0.6>, 0.0, 0, 0.45, 0];

string gSound;           // of the notecard, "" for the first sound in the object
integer gVolume;         // per cent
list gLoud;              // the links of beacons that sound

//#include pose.lsl
//#include thing.lsl

ownForget()
{
    thingForget();
    gSound = "";
    gVolume = 50;
}

string ownSetting(string name, string value)
{
    if (name == "sound")
    {
        gSound = value;
        return "";
    }
    if (name != "volume") return thingSetting(name, value);
    integer n = within(value, 0, 100);
    if (n < 0) return "volume is a number from 0 to 100";
    gVolume = n;
    return "";
}

// One siren for the whole object, as long as one beacon sounds.
effect(integer link, string what)
{
    integer at = llListFindList(gLoud, [link]);
    integer was = gLoud != [];
    if (what == "on")
    {
        if (at < 0) gLoud += [link];
    }
    else if (at >= 0) gLoud = llDeleteSubList(gLoud, at, at);
    integer is = gLoud != [];
    if (is == was) return;
    if (!is)
    {
        llStopSound();
        return;
    }
    string sound = gSound;
    if (sound == "") sound = llGetInventoryName(INVENTORY_SOUND, 0);
    if (sound != "" && gVolume > 0) llLoopSound(sound, gVolume * 0.01);
}

//#include object.lsl
