//! The line to boards and readers: frames, sessions without I/O, ports, and a software board.
