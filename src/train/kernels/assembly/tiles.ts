// How many rows and vectors a tile has, as types: the compiler makes one function of each.

@unmanaged export class One { @inline count(): i32 { return 1; } }
@unmanaged export class Two { @inline count(): i32 { return 2; } }
@unmanaged export class Three { @inline count(): i32 { return 3; } }
@unmanaged export class Four { @inline count(): i32 { return 4; } }
