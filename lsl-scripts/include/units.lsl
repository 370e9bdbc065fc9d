// Which prim shows which unit. Needs text.lsl.
//
// A prim named `unit 3` (or `Unit 03`, or `unit 3 mail server`) shows unit 3. What any other prim shows is the
// object's to say (`integer UNNAMED`, the default of gUnnamed), and the notecard's.

list gUnitOf;            // per link, counted from 0: its unit, -1 for none
list gSetLinks;          // from the notecard: these links …
list gSetUnits;          // … show these units, -1 for none
integer gUnnamed;        // what a prim without such a name shows: this unit, or one of
integer BY_LINK = -1;    // the unit of its link number minus 1, the root unit 0
integer NOTHING = -2;    // none
string gUnits;           // `1-8,11`

// The unit in a prim's name, -1 when it names none.
integer unitInName(string name)
{
    name = llToLower(llStringTrim(name, STRING_TRIM));
    if (llSubStringIndex(name, "unit") != 0) return -1;
    string word = llList2String(llParseString2List(llDeleteSubString(name, 0, 3), [" ", "-", "_", ":", "#"], []), 0);
    while (llStringLength(word) > 1 && llGetSubString(word, 0, 0) == "0") word = llDeleteSubString(word, 0, 0);
    integer n = number(word);
    if (n > 255) return -1;
    return n;
}

// The link number of the i-th prim, counted from 0. A prim on its own has another number than a root.
integer linkAt(integer i)
{
    if (llGetListLength(gUnitOf) == 1) return LINK_THIS;
    return i + 1;
}

// The unit that a touched link shows, -1 for none.
integer unitAt(integer link)
{
    if (link > 0) --link;
    if (link < 0 || link >= llGetListLength(gUnitOf)) return -1;
    return llList2Integer(gUnitOf, link);
}

// Numbers in order, twice the same allowed, as ranges.
string ranges(list sorted)
{
    string out;
    integer from = -1;
    integer last = -1;
    integer n = llGetListLength(sorted);
    integer i;
    for (i = 0; i <= n; ++i)
    {
        integer u = -1;
        if (i < n) u = llList2Integer(sorted, i);
        if (i == n || (u > last + 1 && last >= 0) || last < 0)
        {
            if (last >= 0)
            {
                if (out != "") out += ",";
                out += (string)from;
                if (last > from) out += "-" + (string)last;
            }
            from = u;
        }
        last = u;
    }
    return out;
}

// Looks at the linkset. TRUE when the units are others than before.
integer scanUnits()
{
    // Avatars who sit on the object count as links, but not as prims.
    integer n = llGetObjectPrimCount(llGetKey());
    if (n < 1) n = llGetNumberOfPrims();
    list of;
    list have;
    integer i;
    for (i = 0; i < n; ++i)
    {
        integer unit;
        integer named = llListFindList(gSetLinks, [i + 1]);
        if (named >= 0) unit = llList2Integer(gSetUnits, named);
        else
        {
            string name;
            if (n == 1) name = llGetObjectName();
            else name = llGetLinkName(i + 1);
            unit = unitInName(name);
            if (unit < 0 && gUnnamed == BY_LINK && i < 256) unit = i;
            else if (unit < 0 && gUnnamed >= 0) unit = gUnnamed;
        }
        of += [unit];
        if (unit >= 0) have += [unit];
    }
    gUnitOf = of;
    string units = ranges(llListSort(have, 1, TRUE));
    if (units == gUnits) return FALSE;
    gUnits = units;
    return TRUE;
}
