// Numbers, bytes and quoting that give the same result on every grid.

// The number that s writes plainly: decimal digits, no sign, no leading zero, at most 2147483647.
// -1 for anything else. Engines disagree on what a cast of odd text does, and one of them dies of it:
// so nothing is cast in these scripts but through here.
integer number(string s)
{
    integer n = llStringLength(s);
    if (n < 1 || n > 10) return -1;
    integer i;
    for (i = 0; i < n; ++i)
    {
        integer c = llOrd(s, i);
        if (c < 48 || c > 57) return -1;
    }
    integer v = (integer)s;
    if ((string)v != s) return -1;
    return v;
}

// TRUE when s consists of characters of allowed (ASCII) only. Beyond ASCII, OpenSimulator's llSubStringIndex looks for
// text as a reader of some language would, and finds invisible characters everywhere.
integer only(string s, string allowed)
{
    integer i = llStringLength(s);
    while (--i >= 0)
    {
        integer c = llOrd(s, i);
        if (c < 33 || c > 126) return FALSE;
        if (llSubStringIndex(allowed, llGetSubString(s, i, i)) < 0) return FALSE;
    }
    return TRUE;
}

// The length of s in UTF-8 bytes. llStringLength counts characters here and UTF-16 units there.
integer bytes(string s)
{
    string b = llStringToBase64(s);
    return llStringLength(b) / 4 * 3 - (llGetSubString(b, -1, -1) == "=") - (llGetSubString(b, -2, -2) == "=");
}

// s, cut to at most max bytes (max at least 4). A character has at most 4 bytes, so no pass drops too many.
string cut(string s, integer max)
{
    integer over = bytes(s) - max;
    while (over > 0)
    {
        s = llGetSubString(s, 0, llStringLength(s) - (over + 3) / 4 - 1);
        over = bytes(s) - max;
    }
    return s;
}

// s on one line: control characters become spaces.
string clean(string s)
{
    integer i = llStringLength(s);
    while (--i >= 0)
    {
        integer c = llOrd(s, i);
        if (c < 32 || (c > 126 && c < 160)) s = llInsertString(llDeleteSubString(s, i, i), i, " ");
    }
    return llStringTrim(s, STRING_TRIM);
}

// s with every `what` replaced. Not llReplaceSubString: in OpenSimulator that takes a regular expression, of which a
// lone backslash is a broken one, and nothing is replaced.
string replace(string s, string what, string with)
{
    return llDumpList2String(llParseStringKeepNulls(s, [what], []), with);
}

// A JSON string. llList2Json takes a name like {"admin":true} for structure, so text is quoted here and nowhere else.
// The text has been through clean(), so that no \u is ever needed.
string quote(string s)
{
    return "\"" + replace(replace(s, "\\", "\\\\"), "\"", "\\\"") + "\"";
}

// A member of a JSON object as text, "" when missing.
string member(string json, string name)
{
    string v = llJsonGetValue(json, [name]);
    if (v == JSON_INVALID || v == JSON_NULL) return "";
    return v;
}

// A random whole number from 0 to below - 1.
integer dice(integer below)
{
    integer n = (integer)llFrand((float)below);
    if (n >= below) n = below - 1; // a 32-bit float may round up
    return n;
}
