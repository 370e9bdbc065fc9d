//! Vectors and rotations as LSL has them: rotation is x, y, z, s.

pub(crate) type Vector = [f64; 3];
pub(crate) type Rotation = [f64; 4];

pub(crate) const NO_ROTATION: Rotation = [0.0, 0.0, 0.0, 1.0];

pub(crate) fn add(a: Vector, b: Vector) -> Vector {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(crate) fn sub(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(crate) fn scale(a: Vector, by: f64) -> Vector {
    a.map(|x| x * by)
}

pub(crate) fn length(a: Vector) -> f64 {
    a.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// First `a`, then `b`: LSL's `a * b`.
pub(crate) fn then(a: Rotation, b: Rotation) -> Rotation {
    let [x, y, z, s] = b;
    let [u, v, w, t] = a;
    [
        s * u + x * t + y * w - z * v,
        s * v - x * w + y * t + z * u,
        s * w + x * v - y * u + z * t,
        s * t - x * u - y * v - z * w,
    ]
}

/// The other way round.
pub(crate) fn inverse([x, y, z, s]: Rotation) -> Rotation {
    [-x, -y, -z, s]
}

/// Length 1; what cannot have it becomes no rotation.
pub(crate) fn unit(r: Rotation) -> Rotation {
    let n = r.iter().map(|x| x * x).sum::<f64>().sqrt();
    if n.is_finite() && n > 1e-9 { r.map(|x| x / n) } else { NO_ROTATION }
}

/// LSL's `v * r`.
pub(crate) fn turn(v: Vector, r: Rotation) -> Vector {
    let [x, y, z, s] = unit(r);
    let cross = |a: Vector, b: Vector| {
        [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
    };
    let q = [x, y, z];
    let t = scale(cross(q, v), 2.0);
    add(add(v, scale(t, s)), cross(q, t))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: Vector, b: Vector) -> bool {
        length(sub(a, b)) < 1e-9
    }

    #[test]
    fn a_quarter_turn_about_z_takes_x_to_y_and_its_inverse_back() {
        let h = std::f64::consts::FRAC_1_SQRT_2;
        let r = [0.0, 0.0, h, h];
        assert!(near(turn([1.0, 0.0, 0.0], r), [0.0, 1.0, 0.0]));
        assert!(near(turn(turn([1.0, 2.0, 3.0], r), inverse(r)), [1.0, 2.0, 3.0]));
    }

    #[test]
    fn turning_twice_is_turning_by_the_product_first_things_first() {
        let h = std::f64::consts::FRAC_1_SQRT_2;
        let (a, b) = ([0.0, 0.0, h, h], [h, 0.0, 0.0, h]);
        let v = [0.3, -1.0, 2.0];
        assert!(near(turn(v, then(a, b)), turn(turn(v, a), b)));
    }
}
