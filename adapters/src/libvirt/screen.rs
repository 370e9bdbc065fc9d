//! A picture of a machine's screen, as PNG whatever its driver makes.

use primrack_adapter_api::AdapterError;

/// The largest screen, in pixels.
const PIXELS: usize = 4096 * 4096;
/// The largest picture that is passed on.
const LARGEST: usize = 8 << 20;

/// A PNG of what the driver sent: PNG itself, or PPM with a depth of eight bits (`ppm(5)`).
pub(super) fn png(picture: Vec<u8>) -> Result<Vec<u8>, AdapterError> {
    let png = if picture.starts_with(b"\x89PNG\r\n\x1a\n") { Some(picture) } else { from_ppm(&picture) };
    png.filter(|png| png.len() <= LARGEST).ok_or_else(|| {
        AdapterError::NotSupported(
            "its driver shows the screen in a form that the bridge does not read".to_owned(),
        )
    })
}

fn from_ppm(picture: &[u8]) -> Option<Vec<u8>> {
    let mut rest = picture.strip_prefix(b"P6")?;
    let mut numbers = [0_usize; 3];
    for number in &mut numbers {
        let start = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let end = start + rest[start..].iter().position(|byte| !byte.is_ascii_digit())?;
        *number = std::str::from_utf8(&rest[start..end]).ok()?.parse().ok()?;
        rest = &rest[end..];
    }
    let [width, height, depth] = numbers;
    let size = width.checked_mul(height).filter(|size| (1..=PIXELS).contains(size))?.checked_mul(3)?;
    // One white space ends the head.
    let pixels = rest.get(1..)?.get(..size).filter(|_| depth == 255)?;
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().ok()?.write_image_data(pixels).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ppm_becomes_a_png_and_nonsense_nothing() {
        let picture = png(b"P6\n2 1\n255\n\x01\x02\x03\x04\x05\x06".to_vec()).unwrap();
        assert!(picture.starts_with(b"\x89PNG"));
        for wrong in [
            &b"P6\n2 1\n255\n\x01"[..],
            b"P6\n99999999999 9999999999\n255\n",
            b"P6",
            b"",
            b"P5\n1 1\n255\n\0",
        ] {
            assert!(png(wrong.to_vec()).is_err());
        }
    }
}
