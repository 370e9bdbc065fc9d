//! Compiler to compact code, the interpreter, events, queue, memory accounting.
