// A thing made of parts: each unit has one part that shows its state, and may have small lights that repeat its colour.
// Needs pose.lsl and draw.lsl.
//
// A part is known by the last word of its name: the main one by MAIN (`leaf`, `unit 2 leaf`), a light by `light`. All
// other prims stay as they were built, and are touched like the rest. A thing of one prim is its main part.
//
// The object has, before it includes this:
//   string MAIN     the last word of the main part's name
//   list LOOKS      state, colour, glow, pose (per cent of gAmount; STAY: as it is), opacity, bits of
//                   LIT (it lights its surroundings) and SPIN (it turns, seen by each viewer without a message)
//   string WAY      how it moves (pose.lsl) unless its notecard says otherwise, `none` not at all
//   integer AMOUNT  how far, in degrees or per cent
//   effect(integer link, string what)   what else its main part does, such as a sound; "" when that is not known now

integer STAY = 1000;
integer LIT = 1;
integer SPIN = 2;
string gWay;
integer gAmount;
integer gReach;          // how far it lights, in metres

thingForget()
{
    gWay = WAY;
    gAmount = AMOUNT;
    gReach = 10;
}

string thingSetting(string name, string value)
{
    if (name == "moves")
    {
        if (llListFindList(["swing", "slide", "tilt", "raise", "none"], [value]) < 0)
            return "moves is swing, slide, tilt, raise or none";
        gWay = value;
    }
    else if (name == "amount")
    {
        integer n = signed(value);
        if (n == 0 || n < -180 || n > 180) return "amount is a number from -180 to 180, and not 0";
        gAmount = n;
    }
    else if (name == "reach")
    {
        integer n = within(value, 1, 20);
        if (n < 0) return "reach is a number of metres from 1 to 20";
        gReach = n;
    }
    else return NO_SUCH;
    return "";
}

// Which part of its thing a prim is.
string part(integer link)
{
    if (llGetListLength(gUnitOf) == 1) return MAIN;
    return llToLower(llList2String(llParseString2List(llGetLinkName(link), [" "], []), -1));
}

list look(integer link, string entry)
{
    string which = part(link);
    if (which != MAIN && which != "light") return [];
    string what = member(entry, "s");
    integer at = llListFindList(LOOKS, [what]);
    if (at < 0) at = llListFindList(LOOKS, ["unknown"]);
    integer old = member(entry, "o") == "1";
    float bright = gBright * 0.01;
    vector colour = llList2Vector(LOOKS, at + 1) * bright;
    float glow = llList2Float(LOOKS, at + 2) * bright;
    integer bits = llList2Integer(LOOKS, at + 5);
    if (old)
    {
        colour *= 0.5;
        glow = 0.0;
        bits = 0;
    }
    list rules = [PRIM_LINK_TARGET, link, PRIM_COLOR, ALL_SIDES, colour, llList2Float(LOOKS, at + 4),
        PRIM_FULLBRIGHT, ALL_SIDES, !old && glow > 0.0, PRIM_GLOW, ALL_SIDES, glow];
    if (which != MAIN) return rules;
    string words;
    if (gText) words = hover(entry, old);
    rules += [PRIM_TEXT, words, (colour + <1.0, 1.0, 1.0>) * 0.5, 1.0,
        PRIM_POINT_LIGHT, (bits & LIT) != 0, colour, 1.0, (float)gReach, 0.75,
        PRIM_OMEGA, <0.0, 0.0, 1.0>, (float)((bits & SPIN) != 0) * 5.0, (float)((bits & SPIN) != 0)];
    integer share = llList2Integer(LOOKS, at + 3);
    if (gWay != "none" && share != STAY) rules += pose(link, gWay, gAmount * share / 100);
    if (old) what = "";
    effect(link, what);
    return rules;
}

list lost(integer link)
{
    string which = part(link);
    if (which == "light") return [PRIM_LINK_TARGET, link, PRIM_FULLBRIGHT, ALL_SIDES, FALSE, PRIM_GLOW, ALL_SIDES, 0.0];
    if (which != MAIN) return [];
    effect(link, "");
    return [PRIM_LINK_TARGET, link, PRIM_FULLBRIGHT, ALL_SIDES, FALSE, PRIM_GLOW, ALL_SIDES, 0.0,
        PRIM_POINT_LIGHT, FALSE, ZERO_VECTOR, 0.0, (float)gReach, 0.75, PRIM_OMEGA, <0.0, 0.0, 1.0>, 0.0, 0.0]
        + oldWords(link);
}
