//! LSL parsed, checked and run as the grids run it.
