//! What viewers are told.

use super::World;
use crate::ids::PrimId;
use crate::prim::{Face, Faces, Prim, kind};
use crate::view::{AvatarView, FaceView, LightView, PrimView, RegionEvent, ShapeKind, ShapeView, Snapshot};
use std::sync::Arc;

impl World {
    /// Tells what looks different since the last time.
    pub(crate) fn flush(&mut self) {
        if !self.gone.is_empty() {
            let prims = std::mem::take(&mut self.gone);
            self.tell(RegionEvent::Gone { prims });
        }
        if !self.dirty.is_empty() {
            let dirty = std::mem::take(&mut self.dirty);
            if self.outside.events.receiver_count() == 0 {
                return;
            }
            let prims: Vec<Arc<PrimView>> =
                dirty.into_iter().filter_map(|id| self.view(id)).map(Arc::new).collect();
            if !prims.is_empty() {
                self.tell(RegionEvent::Prims { prims });
            }
        }
    }

    pub(crate) fn has_news(&self) -> bool {
        !self.dirty.is_empty() || !self.gone.is_empty()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut ids: Vec<PrimId> = self.prims.keys().copied().collect();
        ids.sort_unstable();
        Snapshot {
            simulated: true,
            region: self.name().to_owned(),
            profile: self.settings.profile.name(),
            up: self.up,
            prims: ids.into_iter().filter_map(|id| self.view(id)).map(Arc::new).collect(),
            avatars: self
                .avatars
                .iter()
                .map(|(key, a)| AvatarView { key: *key, name: a.name.clone(), position: a.position })
                .collect(),
            dialogs: self.dialogs().cloned().collect(),
        }
    }

    pub(crate) fn view(&self, id: PrimId) -> Option<PrimView> {
        let p = self.prim(id)?;
        let owner = self.objects.get(&p.object)?.owner;
        let (position, rotation) = self.place_of(id);
        let faces = match &p.faces {
            Faces::Alike(_) => Vec::new(),
            Faces::Each(all) => all[..p.shape.sides()].iter().map(face).collect(),
        };
        Some(PrimView {
            id,
            object: p.object,
            link: self.link_of(id),
            key: p.key,
            name: p.name.to_string(),
            description: p.description.to_string(),
            owner,
            position,
            rotation,
            size: p.size,
            shape: shape(p),
            face: face(p.faces.get(0)),
            faces,
            text: p.text.words.to_string(),
            text_colour: p.text.colour,
            text_alpha: p.text.alpha,
            light: p.light.as_ref().map(|l| LightView {
                colour: l.colour,
                intensity: l.intensity,
                radius: l.radius,
            }),
            spin: p.spin,
            sound: p.sound.as_ref().map(|sound| sound.0.to_string()),
            click_action: p.click_action,
            touchable: !self.touched_scripts(id).is_empty(),
        })
    }
}

fn face(f: &Face) -> FaceView {
    FaceView { colour: f.colour, alpha: f.alpha, glow: f.glow, bright: f.bright }
}

fn shape(p: &Prim) -> ShapeView {
    let s = &p.shape;
    ShapeView {
        kind: match s.kind {
            kind::CYLINDER => ShapeKind::Cylinder,
            kind::PRISM => ShapeKind::Prism,
            kind::SPHERE => ShapeKind::Sphere,
            kind::TORUS => ShapeKind::Torus,
            kind::TUBE => ShapeKind::Tube,
            kind::RING => ShapeKind::Ring,
            kind::SCULPT => ShapeKind::Sculpt,
            _ => ShapeKind::Box,
        },
        hole: s.hole,
        cut: [s.cut[0], s.cut[1]],
        hollow: s.hollow,
        twist: [s.twist[0], s.twist[1]],
        top: [s.top[0], s.top[1]],
        shear: [s.shear[0], s.shear[1]],
    }
}
