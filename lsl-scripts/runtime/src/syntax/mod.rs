//! Text to tree: lexer, parser, the tree itself, positions in the source.
