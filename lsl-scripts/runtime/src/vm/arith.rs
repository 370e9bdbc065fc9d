//! Vectors and rotations.

pub(crate) fn add<const N: usize>(a: [f64; N], b: [f64; N]) -> [f64; N] {
    std::array::from_fn(|i| a[i] + b[i])
}

pub(crate) fn sub<const N: usize>(a: [f64; N], b: [f64; N]) -> [f64; N] {
    std::array::from_fn(|i| a[i] - b[i])
}

pub(crate) fn negate<const N: usize>(a: [f64; N]) -> [f64; N] {
    a.map(|x| -x)
}

pub(crate) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// `a * b` of the language: first `a`, then `b`.
pub(crate) fn compose(a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
    let [ax, ay, az, aw] = a;
    let [bx, by, bz, bw] = b;
    [
        bw * ax + bx * aw + by * az - bz * ay,
        bw * ay + by * aw + bz * ax - bx * az,
        bw * az + bz * aw + bx * ay - by * ax,
        bw * aw - bx * ax - by * ay - bz * az,
    ]
}

pub(crate) fn conjugate(a: [f64; 4]) -> [f64; 4] {
    [-a[0], -a[1], -a[2], a[3]]
}

/// A vector turned by a rotation. Neither engine normalizes the rotation.
pub(crate) fn rotate(v: [f64; 3], q: [f64; 4]) -> [f64; 3] {
    let [x, y, z, w] = q;
    let rw = -x * v[0] - y * v[1] - z * v[2];
    let rx = w * v[0] + y * v[2] - z * v[1];
    let ry = w * v[1] + z * v[0] - x * v[2];
    let rz = w * v[2] + x * v[1] - y * v[0];
    [
        -rw * x + rx * w - ry * z + rz * y,
        -rw * y + ry * w - rz * x + rx * z,
        -rw * z + rz * w - rx * y + ry * x,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_about_z_takes_x_to_y() {
        let h = std::f64::consts::FRAC_1_SQRT_2;
        let q = [0.0, 0.0, h, h];
        let v = rotate([1.0, 0.0, 0.0], q);
        assert!((v[0]).abs() < 1e-12 && (v[1] - 1.0).abs() < 1e-12);
        let back = rotate(v, conjugate(q));
        assert!((back[0] - 1.0).abs() < 1e-12);
        let half = compose(q, q);
        assert!((half[2] - 1.0).abs() < 1e-12 && half[3].abs() < 1e-12);
    }
}
