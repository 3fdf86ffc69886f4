// Tables of results sort by a click on a column's head; wide figures scroll; the search needs no
// server.

const WIDE = 1.8; // width of a figure relative to its height

function value(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = Number.parseFloat(text.replace(/[,−]/g, (sign) => (sign === "," ? "" : "-")));
  return Number.isNaN(number) ? text : number;
}

function compare(a, b) {
  if (typeof a === typeof b) {
    return typeof a === "number" ? a - b : a.localeCompare(b);
  }
  return typeof a === "number" ? -1 : 1;
}

function sort(table, head) {
  const up = head.getAttribute("aria-sort") !== "ascending";
  const column = head.cellIndex;
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => (up ? 1 : -1) * compare(value(a, column), value(b, column)));
  for (const other of head.parentNode.cells) {
    other.setAttribute("aria-sort", "none");
  }
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  table.tBodies[0].append(...rows);
}

// A table sorts if it has one row of heads and no cell that spans others.
function sortable(table) {
  const heads = table.tHead ? table.tHead.rows : [];
  const spans = table.querySelector("[rowspan]:not([rowspan='1']), [colspan]:not([colspan='1'])");
  return heads.length === 1 && !spans && table.tBodies.length === 1;
}

// A figure that is much wider than high gets a frame of its own, which scrolls on telephones.
function frame(image) {
  if (image.naturalWidth <= WIDE * image.naturalHeight || image.closest(".wide")) {
    return;
  }
  const box = document.createElement("div");
  box.className = "wide";
  image.replaceWith(box);
  box.append(image);
  if (box.scrollWidth > box.clientWidth) {
    box.tabIndex = 0;
  }
}

document.addEventListener("DOMContentLoaded", () => {
  for (const image of document.querySelectorAll(".cell_output img[src*='_images/']")) {
    image.addEventListener("load", () => frame(image), { once: true });
    frame(image);
  }
  for (const table of document.querySelectorAll(".bd-article table")) {
    if (!sortable(table) || table.tBodies[0].rows.length < 3) {
      continue;
    }
    table.classList.add("sortable");
    for (const head of table.tHead.rows[0].cells) {
      if (!head.textContent.trim()) {
        continue;
      }
      head.setAttribute("aria-sort", "none");
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, head));
      head.append(button);
    }
  }
  // A table, a program or an output that scrolls can be reached by the keyboard.
  for (const wide of document.querySelectorAll(".bd-article pre, .cell_output .output")) {
    if (wide.scrollWidth > wide.clientWidth) {
      wide.tabIndex = 0;
    }
  }
  for (const video of document.querySelectorAll("video[autoplay]")) {
    if (window.matchMedia("(prefers-reduced-motion: reduce)").matches) {
      video.pause();
    }
  }
});

// From a file, a browser may not read other pages, which summaries are made of.
if (window.location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}
