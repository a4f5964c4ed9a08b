// Heatmaps: steps of a fixed range, drawn with the colours of the run's own overlays.
const MOST_OPAQUE = 0.85;

function colourTable(text) {
  const rgb = bytes(text);
  const table = new Uint8ClampedArray(1024);
  for (let i = 0; i < 256; i += 1) {
    table.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
    table[4 * i + 3] = Math.round(i * MOST_OPAQUE);
  }
  return table;
}

// Places between cell centres, as torch's interpolate with align_corners=False.
function places(cells, pixels) {
  return Array.from({ length: pixels }, (_, i) => {
    const at = Math.min(Math.max(((i + 0.5) * cells) / pixels - 0.5, 0), cells - 1);
    const first = Math.floor(at);
    return [first, Math.min(first + 1, cells - 1), at - first];
  });
}

function drawHeat(canvas, heat, table) {
  const steps = bytes(heat.steps);
  const left = Math.round(heat.box[0] * canvas.width);
  const top = Math.round(heat.box[1] * canvas.height);
  const width = Math.max(1, Math.round(heat.box[2] * canvas.width) - left);
  const height = Math.max(1, Math.round(heat.box[3] * canvas.height) - top);
  const across = places(heat.columns, width);
  const down = places(heat.rows, height);
  const image = new ImageData(width, height);
  const words = new Uint32Array(image.data.buffer);
  const colours = new Uint32Array(table.buffer);
  let pixel = 0;
  for (const [row, below, share] of down) {
    const upper = row * heat.columns;
    const lower = below * heat.columns;
    for (const [x, next, part] of across) {
      const a = steps[upper + x] + (steps[upper + next] - steps[upper + x]) * part;
      const b = steps[lower + x] + (steps[lower + next] - steps[lower + x]) * part;
      words[pixel] = colours[Math.round(a + (b - a) * share)];
      pixel += 1;
    }
  }
  canvas.getContext("2d").putImageData(image, left, top);
}

function drawRamp(canvas, table) {
  const image = new ImageData(256, 1);
  for (let i = 0; i < 1024; i += 4) {
    image.data.set(table.subarray(i, i + 3), i);
    image.data[i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
