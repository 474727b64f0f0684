// What unpacks all other binaries (RFC 1951), a binary of its own: engines take longer to load their own streams than this takes to
// run. Only blocks with Huffman codes of their own, as a compressor writes them for binaries; small rather than fast.
//
// A table of codes is for each length how many codes have it (16 halves), and behind them the symbols in the order of their codes.

const symbolsAt: usize = 32;
/** The tables of `inflate`'s blocks, and the lengths they are made of; `from` of `inflate` lies behind them. */
const literalsAt: usize = 0;
const distancesAt: usize = 1024;
const lengthsAt: usize = 2048;

/** The next bit, counted from address 0. */
let at: usize = 0;

function take(bits: u32): u32 {
  const value = (load<u32>(at >> 3) >> (at & 7)) & ((1 << bits) - 1);
  at += bits;
  return value;
}

/** Canonical codes: those of one length follow each other, and begin at twice the end of those before. */
function symbol(table: usize): u32 {
  let code: u32 = 0;
  let place = table + symbolsAt;
  for (let counts = table + 2; ; counts += 2) {
    code |= take(1);
    const count = <u32>load<u16>(counts);
    if (code < count) return load<u16>(place + (code << 1));
    place += count << 1;
    code = (code - count) << 1;
  }
  return 0;
}

function makeTable(table: usize, lengths: usize, end: usize): void {
  let place = table + symbolsAt;
  for (let length: u32 = 1; length < 16; length++) {
    const first = place;
    for (let i = lengths; i < end; i++) {
      if (load<u8>(i) != length) continue;
      store<u16>(place, i - lengths);
      place += 2;
    }
    store<u16>(table + (length << 1), (place - first) >> 1);
  }
}

/** Lengths of the codes for lengths come in this order: 16, 17, 18, 0, 8, 7, 9, 6, 10, ... */
@inline
function orderOfLengths(i: u32): u32 {
  if (i < 4) return i < 3 ? 16 + i : 0;
  return i & 1 ? 7 - ((i - 5) >> 1) : 8 + ((i - 4) >> 1);
}

function readTables(): void {
  const literalsEnd = lengthsAt + take(5) + 257;
  const end = literalsEnd + take(5) + 1;
  const given = take(4) + 4;
  memory.fill(lengthsAt, 0, 19);
  for (let i: u32 = 0; i < given; i++) store<u8>(lengthsAt + orderOfLengths(i), take(3));
  makeTable(literalsAt, lengthsAt, lengthsAt + 19);
  for (let i = lengthsAt; i < end; ) {
    const next = symbol(literalsAt);
    if (next < 16) {
      store<u8>(i++, next);
      continue;
    }
    const value = next == 16 ? load<u8>(i - 1) : 0;
    const times = next == 16 ? take(2) + 3 : next == 17 ? take(3) + 3 : take(7) + 11;
    memory.fill(i, value, times);
    i += times;
  }
  makeTable(distancesAt, literalsEnd, end);
  makeTable(literalsAt, lengthsAt, literalsEnd);
}

/** How far a symbol's numbers begin behind that of symbol 0; after 2^(steps + 1) symbols, every 2^steps take one more extra bit. */
function extended(symbol: u32, steps: u32): u32 {
  const bits = symbol >> steps;
  if (bits < 2) return symbol;
  return (((1 << steps) | (symbol & ((1 << steps) - 1))) << (bits - 1)) + take(bits - 1);
}

/** Unpacks what lies at `from` to `to`, as far as `end`. */
export function inflate(from: usize, to: usize, end: usize): void {
  at = from << 3;
  while (to < end) {
    take(3);
    readTables();
    for (let next = symbol(literalsAt); next != 256 && to < end; next = symbol(literalsAt)) {
      if (next < 256) {
        store<u8>(to++, next);
        continue;
      }
      const length = next == 285 ? 258 : 3 + extended(next - 257, 2);
      const back = 1 + extended(symbol(distancesAt), 1);
      for (const stop = to + length; to < stop; to++) store<u8>(to, load<u8>(to - back));
    }
  }
}
