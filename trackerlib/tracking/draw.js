// Boxes on a picture: drawn, moved and resized with mouse, pen, finger or keys.
//
// drawing(host, data, changed)
//   host     element to fill
//   data     {image: URL, width, height: pixels of the frame, colours: of boxes in turn,
//             boxes: [[x, y, w, h], ...] to begin with}
//   changed  is called with the boxes, in whole pixels of the frame, whenever they change
const SVG = "http://www.w3.org/2000/svg";
const MIN_SIDE = 3; // pixels of the frame; a smaller stroke is a click

export function drawing(host, data, changed) {
  const {width, height, colours} = data;
  let boxes = (data.boxes || []).map((box) => [...box]);
  let selected = boxes.length - 1;
  let drag = null; // {index, start: box, from: point, sides: [left, top, right, bottom]}

  const stage = document.createElement("div");
  stage.tabIndex = 0;
  stage.setAttribute("role", "application");
  stage.setAttribute("aria-label", "first frame, to draw boxes on");
  stage.style.cssText =
    `position:relative;aspect-ratio:${width}/${height};touch-action:none;cursor:crosshair;` +
    `width:min(100%, calc(75vh * ${width / height}), ${Math.max(4 * width, 640)}px);` +
    "user-select:none;-webkit-user-select:none";
  const picture = document.createElement("img");
  picture.src = data.image;
  picture.alt = "first frame";
  picture.draggable = false;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  for (const layer of [picture, svg]) {
    layer.style.cssText = "position:absolute;left:0;top:0;width:100%;height:100%";
    stage.append(layer);
  }
  host.replaceChildren(stage);

  const pixel = () => width / (svg.getBoundingClientRect().width || width); // of the screen
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  function point(event) {
    const shown = svg.getBoundingClientRect();
    return [
      clamp(((event.clientX - shown.left) / shown.width) * width, 0, width),
      clamp(((event.clientY - shown.top) / shown.height) * height, 0, height),
    ];
  }

  function shape(kind, attributes) {
    const made = document.createElementNS(SVG, kind);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    svg.append(made);
    return made;
  }

  function show() {
    svg.replaceChildren();
    boxes.forEach(([x, y, w, h], index) => {
      const colour = colours[index % colours.length];
      const frame = {x, y, width: w, height: h, "vector-effect": "non-scaling-stroke"};
      shape("rect", {...frame, fill: "none", stroke: "#000", "stroke-width": 4});
      const body = {...frame, fill: "transparent", stroke: colour, "stroke-width": 2};
      shape("rect", {...body, style: "cursor:move", "data-box": index, "data-sides": "1111"});
      const label = shape("text", {
        x: x + 3 * pixel(), y: y + 16 * pixel(), fill: colour, "font-size": 15 * pixel(),
        "paint-order": "stroke", stroke: "#000", "stroke-width": 3 * pixel(),
        style: "pointer-events:none",
      });
      label.textContent = index + 1;
    });
    if (boxes[selected]) handles(selected);
  }

  function handles(index) {
    const [x, y, w, h] = boxes[index];
    for (const [left, top, right, bottom] of [
      [1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0],
      [0, 0, 1, 1], [0, 0, 0, 1], [1, 0, 0, 1], [1, 0, 0, 0],
    ]) {
      const at = {
        cx: left ? x : right ? x + w : x + w / 2,
        cy: top ? y : bottom ? y + h : y + h / 2,
        "data-box": index,
        "data-sides": `${left}${top}${right}${bottom}`,
      };
      const colour = colours[index % colours.length];
      shape("circle", {...at, r: 5 * pixel(), fill: colour, stroke: "#000",
        "stroke-width": pixel()});
      // What a finger hits is larger than what is seen.
      shape("circle", {...at, r: 11 * pixel(), fill: "transparent", style: "cursor:pointer"});
    }
  }

  function tell() {
    changed(boxes.map((box) => [...box]));
  }

  // Moves the sides that are 1 by (dx, dy), and keeps the box inside of the frame.
  function moved([x, y, w, h], [left, top, right, bottom], dx, dy) {
    if (left && right) {
      x = clamp(x + dx, 0, width - w);
      y = clamp(y + dy, 0, height - h);
      return [x, y, w, h].map(Math.round);
    }
    const ends = [x + left * dx, x + w + right * dx, y + top * dy, y + h + bottom * dy];
    const [a, b] = ends.slice(0, 2).map((e) => clamp(Math.round(e), 0, width));
    const [c, d] = ends.slice(2).map((e) => clamp(Math.round(e), 0, height));
    return [Math.min(a, b), Math.min(c, d), Math.abs(b - a), Math.abs(d - c)];
  }

  svg.addEventListener("pointerdown", (event) => {
    if (drag || event.button) return;
    event.preventDefault();
    stage.focus();
    const from = point(event);
    const hit = event.target.dataset.box;
    if (hit === undefined) {
      boxes.push([Math.round(from[0]), Math.round(from[1]), 0, 0]);
      selected = boxes.length - 1;
      drag = {index: selected, start: [...from, 0, 0], from, sides: [0, 0, 1, 1]};
    } else {
      selected = Number(hit);
      drag = {index: selected, start: boxes[selected], from,
        sides: [...event.target.dataset.sides].map(Number)};
    }
    svg.setPointerCapture(event.pointerId);
    drag.pointer = event.pointerId;
    show();
  });

  svg.addEventListener("pointermove", (event) => {
    if (!drag || drag.pointer !== event.pointerId) return;
    const [x, y] = point(event);
    boxes[drag.index] = moved(drag.start, drag.sides, x - drag.from[0], y - drag.from[1]);
    show();
  });

  function released(event) {
    if (!drag || drag.pointer !== event.pointerId) return;
    drag = null;
    boxes = boxes.filter(([, , w, h]) => w >= MIN_SIDE && h >= MIN_SIDE);
    selected = Math.min(selected, boxes.length - 1);
    show();
    tell();
  }
  svg.addEventListener("pointerup", released);
  svg.addEventListener("pointercancel", released);

  stage.addEventListener("keydown", (event) => {
    const arrows = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
    const arrow = arrows[event.key];
    if (arrow && boxes[selected]) {
      const sides = event.shiftKey ? [0, 0, 1, 1] : [1, 1, 1, 1];
      const box = moved(boxes[selected], sides, ...arrow);
      if (box[2] >= MIN_SIDE && box[3] >= MIN_SIDE) boxes[selected] = box;
    } else if ((event.key === "Delete" || event.key === "Backspace") && boxes[selected]) {
      boxes.splice(selected, 1);
      selected = boxes.length - 1;
    } else if (event.key === " ") { // a box in the middle, for those without a pointer
      boxes.push([width * 0.4, height * 0.4, Math.max(width / 5, MIN_SIDE),
        Math.max(height / 5, MIN_SIDE)].map(Math.round));
      selected = boxes.length - 1;
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    show();
    tell();
  });

  new ResizeObserver(show).observe(stage);
  stage.focus();
  show();
}
