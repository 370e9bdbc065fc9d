// What a state looks like on a box of a rack. Needs draw.lsl.
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

integer gShape = TRUE;    // may change the shape of boxes

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

list lost(integer link)
{
    list rules = oldWords(link);
    if (rules != []) rules += [PRIM_FULLBRIGHT, ALL_SIDES, FALSE, PRIM_GLOW, ALL_SIDES, 0.0];
    return rules;
}
