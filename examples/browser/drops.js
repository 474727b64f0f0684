// Files dropped on a part of the page.

/** Calls `onFiles` with the list of files dropped on `area`, which carries the class "over" meanwhile. */
export function acceptDrops(area, onFiles) {
  for (const name of ["dragover", "dragleave", "drop"]) {
    area.addEventListener(name, (event) => {
      event.preventDefault();
      area.classList.toggle("over", name === "dragover");
    });
  }
  area.addEventListener("drop", ({ dataTransfer }) => onFiles(dataTransfer.files));
}
