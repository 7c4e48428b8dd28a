// What an element shows, painted on a canvas: the picture that stands in for it where it does not live.

/** A canvas with backgrounds, pictures and words of an element, as far as they are in sight. */
export function pictureOf(root) {
  const box = root.getBoundingClientRect();
  if (!box.width || !box.height) return null;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(box.width), Math.round(box.height)];
  const pen = canvas.getContext("2d");
  pen.translate(-box.left, -box.top);
  const paper = getComputedStyle(root).getPropertyValue("--sw-paper").trim();
  pen.fillStyle = paper || "#fff";
  pen.fillRect(box.left, box.top, box.width, box.height);
  const later = [];
  paint(pen, root, box, later);
  for (const [element, clip] of later) paint(pen, element, clip, null);
  return canvas;
}

function paint(pen, element, clip, later) {
  const style = getComputedStyle(element);
  if (style.display === "none" || style.visibility === "hidden") return;
  if (later && style.position === "sticky") {
    later.push([element, clip]); // over what scrolls below it
    return;
  }
  const box = element.getBoundingClientRect();
  const inside = style.overflow === "visible" ? clip : common(box, clip);
  if (inside.width <= 0 || inside.height <= 0) return;
  pen.save();
  pen.beginPath();
  pen.rect(clip.left, clip.top, clip.width, clip.height);
  pen.clip();
  ground(pen, box, style);
  if ((element.tagName === "IMG" && element.naturalWidth) || (element.tagName === "CANVAS" && element.width)) {
    pen.drawImage(element, box.left, box.top, box.width, box.height);
  } else if (element.tagName === "SELECT" || element.tagName === "INPUT") {
    const text = element.selectedOptions?.[0]?.text ?? (element.type === "search" ? element.value || element.placeholder : "");
    word(pen, text, { left: box.left + 8, top: box.top, width: box.width, height: box.height }, style);
  }
  pen.restore();
  if (element.tagName === "SELECT") return;
  pen.save();
  pen.beginPath();
  pen.rect(inside.left, inside.top, inside.width, inside.height);
  pen.clip();
  for (const child of element.childNodes) if (child.nodeType === Node.TEXT_NODE) words(pen, child, inside, style);
  pen.restore();
  for (const child of element.children) paint(pen, child, inside, later);
}

function common(a, b) {
  const [left, top] = [Math.max(a.left, b.left), Math.max(a.top, b.top)];
  const [right, bottom] = [Math.min(a.left + a.width, b.left + b.width), Math.min(a.top + a.height, b.top + b.height)];
  return { left, top, width: right - left, height: bottom - top };
}

function ground(pen, box, style) {
  if (!/^rgba\(.*, 0\)$/.test(style.backgroundColor)) {
    pen.fillStyle = style.backgroundColor;
    pen.beginPath();
    pen.roundRect(box.left, box.top, box.width, box.height, Math.min(parseFloat(style.borderTopLeftRadius) || 0, box.width / 2, box.height / 2));
    pen.fill();
  }
  if (parseFloat(style.borderTopWidth) && parseFloat(style.borderLeftWidth)) {
    pen.strokeStyle = style.borderTopColor;
    pen.beginPath();
    pen.roundRect(box.left + 0.5, box.top + 0.5, box.width - 1, box.height - 1, parseFloat(style.borderTopLeftRadius) || 0);
    pen.stroke();
  }
}

/** A node of text, word by word: it may go over several lines. */
function words(pen, node, clip, style) {
  const range = document.createRange();
  for (const found of node.data.matchAll(/\S+/g)) {
    range.setStart(node, found.index);
    range.setEnd(node, found.index + found[0].length);
    const box = range.getBoundingClientRect();
    if (box.left < clip.left + clip.width && box.top < clip.top + clip.height && box.top + box.height > clip.top) word(pen, found[0], box, style);
  }
}

function word(pen, text, box, style) {
  pen.fillStyle = style.color;
  pen.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  pen.textBaseline = "middle";
  pen.textAlign = "left";
  pen.fillText(text, box.left, box.top + box.height / 2);
}
