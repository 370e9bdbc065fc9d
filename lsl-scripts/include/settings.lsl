// Settings from a notecard: `key = value`, `#` starts a comment line. Needs text.lsl and owner.lsl.
//
// The object has:
//   string CARD                                the notecard's name
//   settingsForget()                           back to the defaults
//   string setting(string name, string value)  takes one; "" or what is wrong with it, in words, without secrets
//   settingsRead(integer faults)               all is read, with that many mistakes

key gCardAsk = NULL_KEY; // the line asked for
integer CARD_LINES = 600; // that are read at most
integer gCardLine;       // its number, counted from 0
integer gCardFaults;
integer gCardAt;         // when to begin again if no line comes, 0 while not reading

readSettings()
{
    settingsForget();
    gCardAsk = NULL_KEY;
    gCardLine = 0;
    gCardFaults = 0;
    gCardAt = 0;
    if (llGetInventoryType(CARD) != INVENTORY_NOTECARD)
    {
        toOwner("There is no notecard " + CARD + " in this object. Put it in beside the script.");
        return;
    }
    gCardAt = llGetUnixTime() + 30;
    gCardAsk = llGetNotecardLine(CARD, 0);
}

// "" or what is wrong with this line.
string settingsLine(string line)
{
    line = llStringTrim(line, STRING_TRIM);
    if (line == "" || llGetSubString(line, 0, 0) == "#") return "";
    integer at = llSubStringIndex(line, "=");
    if (at < 1) return "this is not `key = value`";
    if (at + 1 == llStringLength(line)) return "there is no value after the =";
    return setting(llToLower(llStringTrim(llGetSubString(line, 0, at - 1), STRING_TRIM)),
        llStringTrim(llGetSubString(line, at + 1, -1), STRING_TRIM));
}

// For the dataserver event.
settingsData(key ask, string line)
{
    if (ask != gCardAsk) return;
    if (line == EOF)
    {
        gCardAsk = NULL_KEY;
        gCardAt = 0;
        settingsRead(gCardFaults);
        return;
    }
    string fault = settingsLine(line);
    if (fault != "")
    {
        ++gCardFaults;
        // Not toOwner(): two lines may have the same mistake, and each is told.
        if (gCardFaults <= 10) llOwnerSay(CARD + ", line " + (string)(gCardLine + 1) + ": " + fault + ".");
    }
    ++gCardLine;
    if (gCardLine >= CARD_LINES)
    {
        // Some grids answer for a notecard that they have lost with empty lines without end.
        gCardAsk = NULL_KEY;
        gCardAt = 0;
        toOwner(CARD + " has more than " + (string)CARD_LINES + " lines, or the grid has lost it: write it anew.");
        return;
    }
    gCardAt = llGetUnixTime() + 30;
    gCardAsk = llGetNotecardLine(CARD, gCardLine);
}

// `yes` 1, `no` 0, anything else -1.
integer yesNo(string value)
{
    value = llToLower(value);
    if (value == "yes") return 1;
    if (value == "no") return 0;
    return -1;
}

// A whole number from low to high, else -1.
integer within(string value, integer low, integer high)
{
    integer n = number(value);
    if (n < low || n > high) return -1;
    return n;
}
