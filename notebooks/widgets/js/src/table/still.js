// What the table shows, painted: the picture that stands in for it where it does not live.

/** A canvas with the rows in sight and the curve. */
export function pictureOf(panel, grid, curve) {
  const box = panel.root.getBoundingClientRect();
  if (!box.width) return null;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(box.width), Math.round(box.height)];
  const pen = canvas.getContext("2d");
  const look = getComputedStyle(panel.root);
  pen.fillStyle = look.getPropertyValue("--sw-paper");
  pen.fillRect(0, 0, canvas.width, canvas.height);
  const sight = grid.element.getBoundingClientRect();
  pen.save();
  pen.beginPath();
  pen.rect(sight.left - box.left, sight.top - box.top, sight.width, sight.height);
  pen.clip();
  for (const row of [...grid.live.values(), grid.head, grid.means]) paint(pen, row, box, look);
  pen.restore();
  if (curve) {
    const at = curve.canvas.getBoundingClientRect();
    pen.drawImage(curve.canvas, at.left - box.left, at.top - box.top, at.width, at.height);
  }
  return canvas;
}

function paint(pen, row, box, look) {
  const at = row.getBoundingClientRect();
  const style = getComputedStyle(row);
  pen.fillStyle = style.backgroundColor;
  pen.fillRect(at.left - box.left, at.top - box.top, at.width, at.height);
  for (const part of row.querySelectorAll("i.sw-cell-bar, img")) {
    const place = part.getBoundingClientRect();
    const where = [place.left - box.left, place.top - box.top, place.width, place.height];
    if (part.tagName === "I") {
      pen.fillStyle = getComputedStyle(part).backgroundColor;
      pen.fillRect(...where);
    } else if (part.complete && part.naturalWidth) pen.drawImage(part, ...where);
  }
  pen.fillStyle = style.color;
  pen.font = `${style.fontWeight} 12px ${look.fontFamily}`;
  pen.textBaseline = "middle";
  for (const cell of row.children) {
    const place = cell.getBoundingClientRect();
    const right = cell.classList.contains("sw-right");
    pen.textAlign = right ? "right" : "left";
    const x = right ? place.right - 8 : place.left + 8;
    pen.fillText(cell.textContent, x - box.left, place.top + place.height / 2 - box.top, place.width);
  }
}
