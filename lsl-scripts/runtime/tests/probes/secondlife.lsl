list R;
p(string n, string v) { R += [n + " = " + v]; }
integer f(integer x) { gT += (string)x; return x; }
string gT;
string fl(float x) { return (string)x; }
integer g0() { return 0; }
run() {
    gT = ""; integer a = f(1) + f(2) * f(3); p("eval order 1+2*3", gT);
    gT = ""; list l = [f(1), f(2), f(3)]; p("list order", gT);
    gT = ""; llMax2(f(1), f(2)); p("arg order", gT);
    gT = ""; if (f(0) && f(1)) ; p("&& short circuit?", gT);
    gT = ""; if (f(1) || f(0)) ; p("|| short circuit?", gT);
    integer m = 2147483647; p("maxint+1", (string)(m + 1));
    integer mn = 0x80000000; p("0x80000000", (string)mn); p("minint/-1", (string)(mn / -1 + g0()));
    p("-7/2", (string)(-7 / 2)); p("-7%2", (string)(-7 % 2));
    p("1<<33", (string)(1 << 33)); p("-8>>1", (string)(-8 >> 1)); p("literal 4294967295", (string)4294967295);
    p("(int)'12abc'", (string)((integer)"12abc")); p("(int)' 0x1F'", (string)((integer)" 0x1F")); p("(int)'99999999999'", (string)((integer)"99999999999"));
    p("(int)'-'", (string)((integer)"-")); p("(int)'1e3'", (string)((integer)"1e3")); p("(float)'1e3x'", (string)((float)"1e3x"));
    p("(int)3.99e9", (string)((integer)3.99e9)); p("(int)-2.7", (string)((integer)-2.7));
    p("1.0", fl(1.0)); p("0.1", fl(0.1)); p("1e-7", fl(1e-7)); p("1e10", fl(1e10)); p("123456789.0", fl(123456789.0)); p("1/3", fl(1.0/3.0)); p("-0.0", fl(-0.0));
    p("list float", llDumpList2String([1.0, 0.1, 123456789.0], "|")); p("vec", (string)<1.0, 0.1, 1e-7>); p("list vec", llDumpList2String([<1.0, 0.5, 0.25>], "|"));
    p("csv", llList2CSV([1, 2.5, "a,b", <1,2,3>]));
    p("[1]==[2]", (string)([1] == [2])); p("[1,2]!=[]", (string)([1,2] != [])); 
    p("l2i str", (string)llList2Integer(["0x10", "12 "], 0)); p("l2s oob", "(" + llList2String([1], 5) + ")"); p("l2s neg", llList2String([1,2,3], -1));
    p("substr -2,-1", llGetSubString("hello", -2, -1)); p("substr 3,1", llGetSubString("hello", 3, 1)); p("delsub", llDeleteSubString("hello", 1, 2));
    p("idx", (string)llSubStringIndex("hello", "l")); p("idx empty", (string)llSubStringIndex("hello", ""));
    p("parse", llList2CSV(llParseString2List("a,,b;c", [","], [";"]))); p("parsekeep", llList2CSV(llParseStringKeepNulls("a,,b;c", [","], [";"])));
    p("sort", llList2CSV(llListSort([3, 1, "b", 2, "a"], 1, TRUE)));
    p("find", (string)llListFindList([1, "1", 1.0], ["1"])); p("find float/int", (string)llListFindList([1.0, 2.0], [1]));
    p("len utf8", (string)llStringLength("h\u00e9") + " " + (string)llStringLength("é€😀"));
    p("b64", llStringToBase64("é€")); p("b64 len1", llStringToBase64("a")); p("b64dec", llBase64ToString("w6k=")); p("b64dec nopad", llBase64ToString("w6k")); p("b64dec badutf", llEscapeURL(llBase64ToString("/w==")));
    p("esc", llEscapeURL("a b/é~-_.")); p("unesc", llUnescapeURL("a%20b+c%C3%A9"));
    p("sha256 é", llSHA256String("é")); p("sha1", llSHA1String("abc")); p("md5", llMD5String("abc", 0));
    p("i2b64", llIntegerToBase64(1)); p("xor", llXorBase64("YWJj", "AQID"));
    p("json obj", llList2Json(JSON_OBJECT, ["s", "a/b\"c\\é\n\t", "i", 1, "f", 1.5, "t", JSON_TRUE, "n", JSON_NULL, "k", "{\"x\":1}", "num", "12"]));
    p("json arr", llList2Json(JSON_ARRAY, [1, 2.0, "x", <1,2,3>, "true"]));
    string j = "{\"a\":{\"b\":[1,2.50,true,null,\"x\\u00e9\\/y\"]},\"s\":\" sp \"}";
    p("jget num", llJsonGetValue(j, ["a", "b", 1])); p("jget true", (string)(llJsonGetValue(j, ["a", "b", 2]) == JSON_TRUE)); p("jget null", (string)(llJsonGetValue(j, ["a", "b", 3]) == JSON_NULL));
    p("jget str", llJsonGetValue(j, ["a", "b", 4])); p("jget sub", llJsonGetValue(j, ["a"])); p("jget missing", (string)(llJsonGetValue(j, ["zz"]) == JSON_INVALID)); p("jget oob", (string)(llJsonGetValue(j, ["a", "b", 9]) == JSON_INVALID));
    p("jset", llJsonSetValue("{}", ["a", "b"], "1")); p("jset append", llJsonSetValue("[1]", [JSON_APPEND], "x")); p("jtype bad", (string)(llJsonValueType("nonsense", []) == JSON_INVALID)); p("j2list", llList2CSV(llJson2List("{\"a\":1,\"b\":[2]}")));
    p("JSON_TRUE ord", llEscapeURL(JSON_TRUE)); p("JSON_INVALID", llEscapeURL(JSON_INVALID));
    p("trim", "(" + llStringTrim("  x ", STRING_TRIM) + ")"); p("upper", llToUpper("éa"));
    p("round", (string)llRound(-0.5) + "," + (string)llRound(2.5)); p("pow", fl(llPow(2.0, 0.5))); p("key cmp", (string)((key)"x" == "x")); p("if key", (string)((key)"00000000-0000-0000-0000-000000000001" != NULL_KEY));
    if ((key)"abc") p("if(key abc)", "T"); else p("if(key abc)", "F");
    if ((key)NULL_KEY) p("if(NULL_KEY)", "T"); else p("if(NULL_KEY)", "F");
    integer i = 5; i = i++ + i; p("i=i++ + i", (string)i); integer z = 1; z = z + (z = 5); p("z + (z=5)", (string)z);
    p("float cmp", (string)(0.1 + 0.2 == 0.3)); p("int*float cast", (string)(16777217 * 1.0)); p("hash", (string)llHash("hello")); p("ord", (string)llOrd("é", 0)); p("char", llChar(233)); p("replace", llReplaceSubString("aXbX", "X", "-", 0));
    p("list sub wrap", llList2CSV(llList2List([0,1,2,3,4], 3, 1))); p("replacelist", llList2CSV(llListReplaceList([0,1,2], ["x"], 1, 5))); p("list type", (string)llGetListEntryType([1, 1.0, "s", (key)"k"], 3)); p("strided", llList2CSV(llList2ListStrided([0,1,2,3,4], 0, -1, 2)));
}
integer llMax2(integer a, integer b) { return a; }
default {
    state_entry() {
        run();
        llOwnerSay(llDumpList2String(R, "\n"));
    }
}
