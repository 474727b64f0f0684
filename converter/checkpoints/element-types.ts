// Element types by the names that torch, NumPy and safetensors give them.

import { type DataType, dataTypes } from "../../src/core/dtype.ts";

export interface ElementType {
  /** Absent for types that can be skipped over but not read. */
  readonly type?: DataType;
  readonly bytesPerElement: number;
}

const known = (type: DataType): ElementType => ({ type, bytesPerElement: dataTypes[type].bits / 8 });
const unread = (bytesPerElement: number): ElementType => ({ bytesPerElement });

/** torch.FloatStorage and its like; torch.storage.UntypedStorage counts bytes. */
export const torchStorages: ReadonlyMap<string, ElementType> = new Map(
  Object.entries({
    DoubleStorage: known("float64"),
    FloatStorage: known("float32"),
    HalfStorage: known("float16"),
    BFloat16Storage: known("bfloat16"),
    LongStorage: known("int64"),
    IntStorage: known("int32"),
    ShortStorage: known("int16"),
    CharStorage: known("int8"),
    ByteStorage: known("uint8"),
    BoolStorage: known("bool"),
    UntypedStorage: known("uint8"),
    ComplexFloatStorage: unread(8),
    ComplexDoubleStorage: unread(16),
    QInt8Storage: unread(1),
    QUInt8Storage: unread(1),
    QInt32Storage: unread(4),
    QUInt4x2Storage: unread(1),
    QUInt2x4Storage: unread(1),
  }),
);

/** torch.float32 and its like. */
export const torchTypes: ReadonlyMap<string, ElementType> = new Map(
  Object.entries({
    float64: known("float64"),
    double: known("float64"),
    float32: known("float32"),
    float: known("float32"),
    float16: known("float16"),
    half: known("float16"),
    bfloat16: known("bfloat16"),
    int64: known("int64"),
    long: known("int64"),
    int32: known("int32"),
    int: known("int32"),
    int16: known("int16"),
    short: known("int16"),
    int8: known("int8"),
    uint8: known("uint8"),
    uint16: known("uint16"),
    uint32: known("uint32"),
    uint64: known("uint64"),
    bool: known("bool"),
  }),
);

/** NumPy's type codes without byte order. */
export const numpyTypes: ReadonlyMap<string, ElementType> = new Map(
  Object.entries({
    f8: known("float64"),
    f4: known("float32"),
    f2: known("float16"),
    bfloat16: known("bfloat16"),
    i8: known("int64"),
    i4: known("int32"),
    i2: known("int16"),
    i1: known("int8"),
    u8: known("uint64"),
    u4: known("uint32"),
    u2: known("uint16"),
    u1: known("uint8"),
    b1: known("bool"),
  }),
);

export const safetensorsTypes: ReadonlyMap<string, ElementType> = new Map(
  Object.entries({
    F64: known("float64"),
    F32: known("float32"),
    F16: known("float16"),
    BF16: known("bfloat16"),
    I64: known("int64"),
    I32: known("int32"),
    I16: known("int16"),
    I8: known("int8"),
    U64: known("uint64"),
    U32: known("uint32"),
    U16: known("uint16"),
    U8: known("uint8"),
    BOOL: known("bool"),
    F8_E4M3: unread(1),
    F8_E5M2: unread(1),
    F8_E8M0: unread(1),
  }),
);
