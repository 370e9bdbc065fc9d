// Draws what a push says, and marks as old what is. Needs text.lsl, envelope.lsl and units.lsl.
//
// The object has:
//   list look(integer link, string entry)   the rules that draw one entry of a push on one prim
//   list lost(integer link)                 the rules that show that nothing new comes, [] when they do already

integer gText = TRUE;     // hover text
integer gTextHeight;      // blank lines under it, which lift it
integer gBright = 100;    // per cent
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
            if (rules != []) llSetLinkPrimitiveParamsFast(LINK_THIS, rules);
            rules = [];
            drawn = 0;
        }
        entry = llJsonGetValue(gInBody, ["list", ++e]);
    }
    if (rules != []) llSetLinkPrimitiveParamsFast(LINK_THIS, rules);
}

// The rules that mark a prim's words as old, [] when they are marked or there are none.
list oldWords(integer link)
{
    list now = llGetLinkPrimitiveParams(link, [PRIM_TEXT]);
    string words = llList2String(now, 0);
    if (words == "" || llSubStringIndex(words, OLD) == 0) return [];
    return [PRIM_LINK_TARGET, link, PRIM_TEXT, cut(OLD + words, 254), llList2Vector(now, 1), 1.0];
}

// Nothing new comes: what the units show is marked as old until it does.
drawLost()
{
    list rules;
    integer i = llGetListLength(gUnitOf);
    while (--i >= 0)
    {
        if (llList2Integer(gUnitOf, i) >= 0) rules += lost(linkAt(i));
        if (llGetListLength(rules) > 80 || (i == 0 && rules != []))
        {
            llSetLinkPrimitiveParamsFast(LINK_THIS, rules);
            rules = [];
        }
    }
}
