// Parts that move: a door's leaf, a rocker, a flag. Needs text.lsl.
//
// How far a part is from its rest stands in its description (`moved swing 95`), written in the same call that moves it.
// So neither a reset of the script nor moving or turning the whole object loses where the rest is, and nothing is kept in
// memory. It is built at rest.

// A whole number with a sign, 0 for anything else.
integer signed(string s)
{
    integer n;
    if (llGetSubString(s, 0, 0) == "-" && llStringLength(s) > 1) n = -number(llGetSubString(s, 1, -1));
    else n = number(s);
    if (n < -360 || n > 360) n = 0;
    return n;
}

// Place and turn of a part, moved by so much more in this way.
//   swing   degrees about its left edge, like a door         tilt    degrees about its middle, like a rocker
//   slide   per cent of its width to the side                raise   degrees about one end of its length, like a flag
list moved(vector pos, rotation rot, vector size, string way, integer by)
{
    integer alongX = size.x >= size.y;
    vector side = <1.0, 0.0, 0.0>;
    vector half = <size.x * 0.5, 0.0, 0.0>;
    if (!alongX)
    {
        side = <0.0, 1.0, 0.0>;
        half = <0.0, size.y * 0.5, 0.0>;
    }
    if (way == "slide") return [pos + half * (by * 0.02) * rot, rot];
    vector axis = <0.0, 0.0, 1.0>;
    vector hinge = -half;
    if (way == "tilt")
    {
        axis = side;
        hinge = ZERO_VECTOR;
    }
    else if (way == "raise")
    {
        axis = <1.0, 0.0, 0.0>;
        if (alongX) axis = <0.0, -1.0, 0.0>;
    }
    rotation turned = llAxisAngle2Rot(axis, by * DEG_TO_RAD) * rot;
    return [pos + hinge * rot - hinge * turned, turned];
}

// The rules that bring a part to `to` degrees or per cent from its rest; [] when it is there.
list pose(integer link, string way, integer to)
{
    list now = llGetLinkPrimitiveParams(link, [PRIM_DESC, PRIM_POS_LOCAL, PRIM_ROT_LOCAL, PRIM_SIZE]);
    list was = llParseString2List(llList2String(now, 0), [" "], []);
    string wasWay = way;
    integer from;
    if (llList2String(was, 0) == "moved")
    {
        wasWay = llList2String(was, 1);
        from = signed(llList2String(was, 2));
    }
    if (from == to && wasWay == way) return [];
    vector size = llList2Vector(now, 3);
    list at = [llList2Vector(now, 1), llList2Rot(now, 2)];
    if (from) at = moved(llList2Vector(at, 0), llList2Rot(at, 1), size, wasWay, -from);
    if (to) at = moved(llList2Vector(at, 0), llList2Rot(at, 1), size, way, to);
    return [PRIM_POS_LOCAL, llList2Vector(at, 0), PRIM_ROT_LOCAL, llList2Rot(at, 1),
        PRIM_DESC, "moved " + way + " " + (string)to];
}
