// A rack: one script in the root prim shows up to 255 units and reports who touched which.
// It decides nothing. The bridge says what a unit shows, what a touch does, and which menu comes up.

string CARD = "rack.conf";
string WHAT = "rack";
integer UNNAMED = -1; // the unit of the link number minus 1
string OWN = "shape";

//#include states.lsl

ownForget()
{
    gShape = TRUE;
}

string ownSetting(string name, string value)
{
    if (name != "shape") return NO_SUCH;
    integer n = yesNo(value);
    if (n < 0) return "shape is yes or no";
    gShape = n;
    return "";
}

//#include object.lsl
