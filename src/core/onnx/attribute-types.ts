// AttributeProto.AttributeType: ONNX's numbers and our names.

import type { AttributeType } from "../ir/model.ts";

export const attributeTypeNumbers = {
  FLOAT: 1,
  INT: 2,
  STRING: 3,
  TENSOR: 4,
  GRAPH: 5,
  FLOATS: 6,
  INTS: 7,
  STRINGS: 8,
  TENSORS: 9,
  GRAPHS: 10,
  SPARSE_TENSOR: 11,
  SPARSE_TENSORS: 12,
  TYPE_PROTO: 13,
  TYPE_PROTOS: 14,
} as const satisfies Record<AttributeType, number>;

const byNumber = new Map<number, AttributeType>(
  Object.entries(attributeTypeNumbers).map(([name, number]) => [number, name as AttributeType]),
);

export function attributeTypeOf(number: number): AttributeType | undefined {
  return byNumber.get(number);
}
