// The bundled pictures: files in samples/, and what people see in them.

export const samples = [
  { file: "airplane-1.webp", what: "An airplane" },
  { file: "car-1.webp", what: "A blue car" },
  { file: "bird-1.webp", what: "A puffin" },
  { file: "cat-2.webp", what: "Photo of a cat" },
  { file: "deer-1.webp", what: "A fawn" },
  { file: "dog-1.webp", what: "A puppy" },
  { file: "frog-1.webp", what: "A frog" },
  { file: "horse-1.webp", what: "A horse" },
  { file: "ship-1.webp", what: "A sailing boat" },
  { file: "truck-1.webp", what: "A truck" },
  { file: "car-2.webp", what: "A red car" },
  { file: "cat-1.webp", what: "A cat lying" },
  { file: "ship-2.webp", what: "Boats at sunset" },
];
