//! The functions that need no world: strings, lists, math, JSON, hashes and encodings, linkset data, time conversion.
//!
//! [`resolve`] is asked once per function and script, at compile time; the interpreter then calls the pointer it gave.
//! The checker has verified count and types of the arguments (and cast integer to float, string to key where the
//! language does), so that a function may rely on them.
//!
//! Sources: OpenSimulator's script API of the branches 0.9.2.2, 0.9.3.0 and master for YEngine, where even its slips are
//! kept because scripts meet them; the Second Life wiki and what public implementations of Linden's engine document for
//! `secondlife`; the probe outputs of a running 0.9.2.2 for both. No result may be larger than a script's memory: such a
//! call is a Stack-Heap Collision.

mod args;
mod digest;
mod encoding;
mod find;
mod json;
mod linkset;
mod list;
mod math;
mod order;
mod os;
mod pattern;
mod rotation;
mod span;
mod text;
mod time;
mod unit;

#[cfg(test)]
mod testing;

pub use linkset::{LinksetData, capacity};

use crate::error::RuntimeError;
use crate::host::Host;
use crate::profile::Profile;
use crate::value::Value;

/// What a library function may use besides its arguments.
pub struct LibCtx<'a> {
    /// The engine whose behaviour is wanted.
    pub profile: Profile,
    /// The world: clock, random numbers, the linkset's data.
    pub host: &'a mut dyn Host,
}

impl std::fmt::Debug for LibCtx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LibCtx").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// A library function. A function without a result gives `Value::Integer(0)`, which nobody reads.
pub type LibFn = fn(&mut LibCtx<'_>, &[Value]) -> Result<Value, RuntimeError>;

/// The library function of that name, or `None` where the host has to give it. Which grid has which function is the
/// tables' business; a name that a grid lacks never reaches the interpreter.
#[must_use]
pub fn resolve(name: &str, profile: Profile) -> Option<LibFn> {
    if name.starts_with("os") && !profile.is_opensim() {
        return None;
    }
    FUNCTIONS.binary_search_by(|(n, _)| (*n).cmp(name)).ok().map(|i| FUNCTIONS[i].1)
}

/// Every function of the library, sorted by name.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, _)| *name)
}

/// Sorted as text is compared, for the binary search.
static FUNCTIONS: &[(&str, LibFn)] = &[
    ("llAbs", math::abs),
    ("llAcos", math::acos),
    ("llAngleBetween", rotation::angle_between),
    ("llAsin", math::asin),
    ("llAtan2", math::atan2),
    ("llAxes2Rot", rotation::axes_to_rot),
    ("llAxisAngle2Rot", rotation::axis_angle_to_rot),
    ("llBase64ToInteger", encoding::base64_to_integer),
    ("llBase64ToString", encoding::base64_to_string),
    ("llCSV2List", list::from_csv),
    ("llCeil", math::ceil),
    ("llChar", text::char),
    ("llComputeHash", digest::compute_hash),
    ("llCos", math::cos),
    ("llDeleteSubList", list::delete_sub_list),
    ("llDeleteSubString", text::delete_sub_string),
    ("llDumpList2String", list::dump),
    ("llEscapeURL", text::escape_url),
    ("llEuler2Rot", rotation::euler_to_rot),
    ("llFabs", math::fabs),
    ("llFloor", math::floor),
    ("llFrand", math::frand),
    ("llGenerateKey", math::generate_key),
    ("llGetDate", time::date),
    ("llGetGMTclock", time::gmt_clock),
    ("llGetListEntryType", list::entry_type),
    ("llGetListLength", list::length),
    ("llGetSubString", text::get_sub_string),
    ("llGetTimestamp", time::timestamp),
    ("llGetUnixTime", time::unix_time),
    ("llGetWallclock", time::wallclock),
    ("llHMAC", digest::hmac),
    ("llHash", digest::hash),
    ("llInsertString", text::insert_string),
    ("llIntegerToBase64", encoding::integer_to_base64),
    ("llJson2List", json::to_list),
    ("llJsonGetValue", json::get_value),
    ("llJsonSetValue", json::set_value),
    ("llJsonValueType", json::value_type),
    ("llLinear2sRGB", rotation::linear_to_srgb),
    ("llLinksetDataAvailable", linkset::available),
    ("llLinksetDataCountFound", linkset::count_found),
    ("llLinksetDataCountKeys", linkset::count_keys),
    ("llLinksetDataDelete", linkset::delete),
    ("llLinksetDataDeleteFound", linkset::delete_found),
    ("llLinksetDataDeleteProtected", linkset::delete_protected),
    ("llLinksetDataFindKeys", linkset::find_keys),
    ("llLinksetDataListKeys", linkset::list_keys),
    ("llLinksetDataRead", linkset::read),
    ("llLinksetDataReadProtected", linkset::read_protected),
    ("llLinksetDataReset", linkset::reset),
    ("llLinksetDataWrite", linkset::write),
    ("llLinksetDataWriteProtected", linkset::write_protected),
    ("llList2CSV", list::to_csv),
    ("llList2Float", list::to_float),
    ("llList2Integer", list::to_integer),
    ("llList2Json", json::from_list),
    ("llList2Key", list::to_key),
    ("llList2List", list::sub_list),
    ("llList2ListSlice", list::list_to_list_slice),
    ("llList2ListStrided", list::list_to_list_strided),
    ("llList2Rot", list::to_rotation),
    ("llList2String", list::to_string),
    ("llList2Vector", list::to_vector),
    ("llListFindList", find::find),
    ("llListFindListNext", find::find_next),
    ("llListFindStrided", find::find_strided),
    ("llListInsertList", list::insert_list),
    ("llListRandomize", list::randomize),
    ("llListReplaceList", list::replace_list),
    ("llListSort", order::sort),
    ("llListSortStrided", order::sort_strided),
    ("llListStatistics", find::statistics),
    ("llLog", math::log),
    ("llLog10", math::log10),
    ("llMD5String", digest::md5_string),
    ("llModPow", math::mod_pow),
    ("llOrd", text::ord),
    ("llParseString2List", list::parse),
    ("llParseStringKeepNulls", list::parse_keep_nulls),
    ("llPow", math::pow),
    ("llReplaceSubString", text::replace_sub_string),
    ("llRot2Angle", rotation::rot_to_angle),
    ("llRot2Axis", rotation::rot_to_axis),
    ("llRot2Euler", rotation::rot_to_euler),
    ("llRot2Fwd", rotation::rot_to_fwd),
    ("llRot2Left", rotation::rot_to_left),
    ("llRot2Up", rotation::rot_to_up),
    ("llRotBetween", rotation::rot_between),
    ("llRound", math::round),
    ("llSHA1String", digest::sha1_string),
    ("llSHA256String", digest::sha256_string),
    ("llSin", math::sin),
    ("llSqrt", math::sqrt),
    ("llStringLength", text::string_length),
    ("llStringToBase64", encoding::string_to_base64),
    ("llStringTrim", text::string_trim),
    ("llSubStringIndex", text::sub_string_index),
    ("llTan", math::tan),
    ("llToLower", text::to_lower),
    ("llToUpper", text::to_upper),
    ("llUnescapeURL", text::unescape_url),
    ("llVecDist", rotation::vec_dist),
    ("llVecMag", rotation::vec_mag),
    ("llVecNorm", rotation::vec_norm),
    ("llXorBase64", encoding::xor_base64),
    ("llXorBase64Strings", encoding::xor_base64_strings),
    ("llXorBase64StringsCorrect", encoding::xor_base64_strings_correct),
    ("llsRGB2Linear", rotation::srgb_to_linear),
    ("osAngleBetween", rotation::os_angle_between),
    ("osApproxEquals", os::approx_equals),
    ("osDrawEllipse", os::draw_ellipse),
    ("osDrawFilledEllipse", os::draw_filled_ellipse),
    ("osDrawFilledPolygon", os::draw_filled_polygon),
    ("osDrawFilledRectangle", os::draw_filled_rectangle),
    ("osDrawImage", os::draw_image),
    ("osDrawLine", os::draw_line),
    ("osDrawPolygon", os::draw_polygon),
    ("osDrawRectangle", os::draw_rectangle),
    ("osDrawResetTransform", os::draw_reset_transform),
    ("osDrawRotationTransform", os::draw_rotation_transform),
    ("osDrawScaleTransform", os::draw_scale_transform),
    ("osDrawText", os::draw_text),
    ("osDrawTranslationTransform", os::draw_translation_transform),
    ("osFormatString", os::format_string),
    ("osGetPSTWallclock", time::os_pst_wallclock),
    ("osIsNotValidNumber", os::is_not_valid_number),
    ("osIsUUID", find::os_is_uuid),
    ("osListAsFloat", find::os_as_float),
    ("osListAsInteger", find::os_as_integer),
    ("osListAsRotation", find::os_as_rotation),
    ("osListAsString", find::os_as_string),
    ("osListAsVector", find::os_as_vector),
    ("osListFindListNext", find::os_find_next),
    ("osMatchString", os::match_string),
    ("osMax", os::max),
    ("osMin", os::min),
    ("osMovePen", os::move_pen),
    ("osOldList2ListStrided", list::os_old_list_to_list_strided),
    ("osRegexIsMatch", os::regex_is_match),
    ("osReplaceString", os::replace_string),
    ("osRound", os::round),
    ("osSHA256", digest::sha256_string),
    ("osSetFontName", os::set_font_name),
    ("osSetFontSize", os::set_font_size),
    ("osSetPenCap", os::set_pen_cap),
    ("osSetPenColor", os::set_pen_color),
    ("osSetPenColour", os::set_pen_colour),
    ("osSetPenSize", os::set_pen_size),
    ("osSlerp", rotation::os_slerp),
    ("osStringEndsWith", os::ends_with),
    ("osStringIndexOf", os::string_index_of),
    ("osStringLastIndexOf", os::string_last_index_of),
    ("osStringRemove", os::string_remove),
    ("osStringReplace", os::string_replace),
    ("osStringStartsWith", os::starts_with),
    ("osStringSubString", os::string_sub_string),
    ("osTemperature2sRGB", os::temperature_to_srgb),
    ("osUnixTimeToTimestamp", time::os_unix_time_to_timestamp),
    ("osVecDistSquare", rotation::os_vec_dist_square),
    ("osVecMagSquare", rotation::os_vec_mag_square),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_for_its_search() {
        assert!(FUNCTIONS.windows(2).all(|w| w[0].0 < w[1].0));
        assert!(names().all(|n| resolve(n, Profile::OpenSimMaster).is_some()));
        assert!(resolve("llSay", Profile::SecondLife).is_none());
        assert!(resolve("osMax", Profile::SecondLife).is_none());
    }

    #[test]
    fn every_function_takes_and_gives_the_types_of_its_table() {
        for name in names() {
            let mut known = 0;
            for f in crate::tables::functions_named(name) {
                known += 1;
                let args: Vec<Value> = f.params.iter().map(|p| p.ty.default_value()).collect();
                for p in Profile::ALL.into_iter().filter(|p| f.profiles & p.bit() != 0) {
                    match testing::try_call(p, name, &args) {
                        Ok(value) => {
                            assert_eq!(value.ty(), f.returns.default_value().ty(), "{name} {p}");
                        }
                        Err(e) => assert!(!e.message.starts_with("argument "), "{name} {p}: {e}"),
                    }
                }
            }
            assert!(known > 0, "{name} is in no table");
        }
    }

    #[test]
    fn wrong_arguments_are_errors_not_panics() {
        for name in names() {
            for p in Profile::ALL {
                for args in [
                    vec![],
                    vec![Value::list(vec![]); 6],
                    vec![Value::Vector([0.0; 3]); 6],
                    vec![Value::str(""); 6],
                ] {
                    testing::tolerates(p, name, &args);
                }
            }
        }
    }
}
