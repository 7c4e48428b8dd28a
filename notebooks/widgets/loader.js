// What every widget carries: it finds the bundle, loads it once per page, and hands over to it.
const loaded = (globalThis.splatworksBundles ??= new Map());

async function load(packed) {
  const bytes = new Uint8Array(packed.buffer, packed.byteOffset, packed.byteLength);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const code = await new Response(stream).blob();
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  try {
    return await import(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

async function bundleOf(model) {
  const digest = model.get("bundle_digest");
  if (!loaded.has(digest)) {
    const id = model.get("bundle").slice("IPY_MODEL_".length);
    const bundle = await model.widget_manager.get_model(id);
    if (!loaded.has(digest)) loaded.set(digest, load(bundle.get("packed")));
  }
  return loaded.get(digest);
}

export default {
  async render({ model, el }) {
    const { show } = await bundleOf(model);
    return show({ model, el });
  },
};
