// Photos from a drop, a choice of files or of folders, each with the name of its folder.

const PHOTO = /\.(jpe?g|jpe|jfif|png|webp|gif|bmp|tiff?|avif|hei[cf])$/i;

/** Whether a file is a photo, by its kind or name. */
export function isPhoto(file) {
  return file.type.startsWith("image/") || PHOTO.test(file.name);
}

/** Photos of an `input`: `{file, folder}`; the folder is that which they lie in, or null. */
export function chosen(input) {
  return [...input.files].filter(isPhoto).map((file) => {
    const parts = (file.webkitRelativePath || "").split("/");
    return { file, folder: parts.length > 1 ? parts.at(-2) : null };
  });
}

/** Photos of a drop, folders and what is in them included. */
export async function dropped(event) {
  // Entries have to be taken before anything is waited for.
  const entries = [...event.dataTransfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = [];
  for (const entry of entries) {
    if (entry) await collect(entry, null, found);
  }
  return found;
}

async function collect(entry, folder, found) {
  if (entry instanceof File) {
    if (isPhoto(entry)) found.push({ file: entry, folder });
  } else if (entry.isDirectory) {
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (!some.length) break;
      for (const inner of some) await collect(inner, entry.name, found);
    }
  } else {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    if (isPhoto(file)) found.push({ file, folder });
  }
}

/** Lets files be dropped on an element; `take` is given the photos. */
export function dropTarget(element, take) {
  element.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    element.classList.remove("over");
    take(await dropped(event));
  });
}
