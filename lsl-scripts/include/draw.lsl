// What a state looks like. Needs text.lsl, envelope.lsl and units.lsl.
//
// Never colour alone: each state has its own shape (hollow, taper or a bite out of the box), the lively ones glow,
// and the word stands above it.

// state, colour, glow, hollow, top size, begin of cut
list LOOKS = [
    "off", <0.22, 0.24, 0.28>, 0.0, 0.7, 1.0, 0.0,
    "starting", <1.0, 0.8, 0.1>, 0.1, 0.0, 0.6, 0.0,
    "on", <0.1, 0.85, 0.3>, 0.25, 0.0, 1.0, 0.0,
    "stopping", <1.0, 0.5, 0.1>, 0.05, 0.0, 1.5, 0.0,
    "paused", <0.2, 0.5, 1.0>, 0.0, 0.4, 1.0, 0.0,
    "saved", <0.55, 0.35, 0.9>, 0.0, 0.9, 1.0, 0.0,
    "crashed", <1.0, 0.1, 0.1>, 0.35, 0.0, 1.0, 0.25,
    "unknown", <0.6, 0.6, 0.6>, 0.0, 0.0, 0.0, 0.0];

integer gText = TRUE;     // hover text
integer gTextHeight;      // blank lines under it, which lift it
integer gBright = 100;    // per cent
integer gShape = TRUE;    // may change the shape of boxes
string OLD = "last known:\n";
//#if secondlife
integer BATCH = 6;        // prims set in one call: memory is short
//#else
integer BATCH = 32;       // prims set in one call
//#end

// The words above a unit.
string hover(string entry, integer old)
{
    string words = cut(member(entry, "l"), 48);
    string word = member(entry, "w");
    if (member(entry, "m") == "1") word += " (simulated)";
    if (words != "" && word != "") words += "\n";
    words += word;
    string note = member(entry, "n");
    if (note != "") words += "\n" + note;
    if (old) words = OLD + words;
    words = cut(words, 254 - gTextHeight * 2);
    integer i;
    for (i = 0; i < gTextHeight; ++i) words += "\n ";
    return words;
}

// The rules that draw one entry of a push on one prim.
list look(integer link, string entry)
{
    integer at = llListFindList(LOOKS, [member(entry, "s")]);
    if (at < 0) at = llListFindList(LOOKS, ["unknown"]);
    integer old = member(entry, "o") == "1";
    float bright = gBright * 0.01;
    float glow = llList2Float(LOOKS, at + 2) * bright;
    vector colour = llList2Vector(LOOKS, at + 1) * bright;
    if (old)
    {
        colour *= 0.5;
        glow = 0.0;
    }
    list rules = [PRIM_LINK_TARGET, link, PRIM_COLOR, ALL_SIDES, colour, 1.0, PRIM_FULLBRIGHT, ALL_SIDES, !old,
        PRIM_GLOW, ALL_SIDES, glow];
    string words;
    if (gText) words = hover(entry, old);
    rules += [PRIM_TEXT, words, (colour + <1.0, 1.0, 1.0>) * 0.5, 1.0];
    if (gShape)
    {
        // Only boxes change their shape: a builder's sculpt or mesh is left as it is.
        if (llList2Integer(llGetLinkPrimitiveParams(link, [PRIM_TYPE]), 0) == PRIM_TYPE_BOX)
        {
            float top = llList2Float(LOOKS, at + 4);
            rules += [PRIM_TYPE, PRIM_TYPE_BOX, PRIM_HOLE_DEFAULT, <llList2Float(LOOKS, at + 5), 1.0, 0.0>,
                llList2Float(LOOKS, at + 3), <0.0, 0.0, 0.0>, <top, top, 0.0>, <0.0, 0.0, 0.0>];
        }
    }
    return rules;
}

// Draws the list of the push in gInBody. One call sets several prims; a long list goes in a few calls, and its entries are taken
// out one by one, for Second Life's 64 KiB are soon full.
drawPush()
{
    list rules;
    integer drawn;
    integer links = llGetListLength(gUnitOf);
    integer e;
    string entry = llJsonGetValue(gInBody, ["list", 0]);
    while (entry != JSON_INVALID)
    {
        integer unit = number(member(entry, "u"));
        if (unit >= 0)
        {
            integer i = llListFindList(gUnitOf, [unit]);
            while (i >= 0 && i < links)
            {
                rules += look(linkAt(i), entry);
                ++drawn;
                // Several prims may show one unit.
                ++i;
                while (i < links && llList2Integer(gUnitOf, i) != unit) ++i;
            }
        }
        if (drawn >= BATCH)
        {
            llSetLinkPrimitiveParamsFast(LINK_THIS, rules);
            rules = [];
            drawn = 0;
        }
        entry = llJsonGetValue(gInBody, ["list", ++e]);
    }
    if (drawn) llSetLinkPrimitiveParamsFast(LINK_THIS, rules);
}

// Nothing new comes: what the units show is marked as old until it does.
drawLost()
{
    list rules;
    integer i = llGetListLength(gUnitOf);
    while (--i >= 0)
    {
        integer link = linkAt(i);
        if (llList2Integer(gUnitOf, i) >= 0)
        {
            list now = llGetLinkPrimitiveParams(link, [PRIM_TEXT]);
            string words = llList2String(now, 0);
            if (words != "" && llSubStringIndex(words, OLD) != 0)
            {
                rules += [PRIM_LINK_TARGET, link, PRIM_TEXT, cut(OLD + words, 254), llList2Vector(now, 1), 1.0,
                    PRIM_FULLBRIGHT, ALL_SIDES, FALSE, PRIM_GLOW, ALL_SIDES, 0.0];
            }
        }
        if (llGetListLength(rules) > 80 || (i == 0 && rules != []))
        {
            llSetLinkPrimitiveParamsFast(LINK_THIS, rules);
            rules = [];
        }
    }
}
