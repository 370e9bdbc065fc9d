//! The region side: registration, signed touches and menus, pushes to callback URLs.
