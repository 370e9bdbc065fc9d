//! The hottest sensor of a system's chassis, by whichever of the three ways its BMC has.

use primrack_adapter_api::AdapterError;
use serde_json::Value;

use super::client::Bmc;
use super::map::{link, text};

/// How many sensors are asked one by one.
const SENSORS: usize = 16;

/// In degrees Celsius; nothing where the BMC does not tell.
pub(super) async fn hottest(bmc: &Bmc, chassis: Option<&str>) -> Result<Option<f32>, AdapterError> {
    let chassis = match chassis {
        Some(chassis) => chassis.to_owned(),
        // Some do not say in which chassis a system is. Where there is one, it is that one.
        None => {
            let Some(all) = bmc.look("/redfish/v1/Chassis").await? else { return Ok(None) };
            match all.get("Members").and_then(Value::as_array).map(Vec::as_slice) {
                Some([only]) => match link(only, "") {
                    Some(only) => only.to_owned(),
                    None => return Ok(None),
                },
                _ => return Ok(None),
            }
        }
    };
    let Some(chassis) = bmc.look(&chassis).await? else { return Ok(None) };
    // Before 2020.4, and still the most common.
    if let Some(place) = link(&chassis, "/Thermal")
        && let Some(thermal) = bmc.look(place).await?
    {
        return Ok(highest(list(&thermal, "/Temperatures"), "/ReadingCelsius"));
    }
    // Since then: one page with all readings.
    if let Some(place) = link(&chassis, "/ThermalSubsystem")
        && let Some(subsystem) = bmc.look(place).await?
        && let Some(place) = link(&subsystem, "/ThermalMetrics")
        && let Some(metrics) = bmc.look(place).await?
        && let Some(hottest) = highest(list(&metrics, "/TemperatureReadingsCelsius"), "/Reading")
    {
        return Ok(Some(hottest));
    }
    let Some(place) = link(&chassis, "/Sensors") else { return Ok(None) };
    let Some(sensors) = bmc.look(place).await? else { return Ok(None) };
    let mut readings = Vec::new();
    let places = list(&sensors, "/Members").iter().filter_map(|member| link(member, ""));
    for place in places.filter(|place| place.to_ascii_lowercase().contains("temp")).take(SENSORS) {
        if let Some(sensor) = bmc.look(place).await?
            && text(&sensor, "/ReadingType").is_none_or(|kind| kind == "Temperature")
        {
            readings.push(sensor);
        }
    }
    Ok(highest(&readings, "/Reading"))
}

fn list<'a>(value: &'a Value, at: &str) -> &'a [Value] {
    value.pointer(at).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The highest of those sensors that are there. Absent ones read 0, null, or 255.
fn highest(sensors: &[Value], at: &str) -> Option<f32> {
    let there =
        sensors.iter().filter(|sensor| !matches!(text(sensor, "/Status/State"), Some("Absent" | "Disabled")));
    let readings = there.filter_map(|sensor| sensor.pointer(at)?.as_f64());
    let sane = readings.filter(|reading| (-50.0..200.0).contains(reading) && *reading != 0.0);
    sane.reduce(f64::max).map(|hottest| hottest as f32)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sensors_that_are_not_there_do_not_count() {
        let sensors = json!({"Temperatures": [
            {"ReadingCelsius": 41}, {"ReadingCelsius": null}, {"ReadingCelsius": 255}, {"ReadingCelsius": "hot"},
            {"ReadingCelsius": 90, "Status": {"State": "Absent"}}, {"ReadingCelsius": 55.5}, {},
        ]});
        assert_eq!(highest(list(&sensors, "/Temperatures"), "/ReadingCelsius"), Some(55.5));
        assert_eq!(highest(list(&json!({}), "/Temperatures"), "/ReadingCelsius"), None);
    }
}
