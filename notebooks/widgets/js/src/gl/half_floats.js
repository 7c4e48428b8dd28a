// Blending in half floats, shown in one step.
import * as pc from "playcanvas";

/**
 * Lets an App (app.js) blend into half floats. With eight bits for each of hundreds of faint layers,
 * rounding adds up to a haze, and colours above 1 are cut too early. Where the device has none, it
 * goes on with eight bits.
 */
export function blendInHalfFloats(gl) {
  const { app, device } = gl;
  if (!device.textureHalfFloatRenderable) return () => {};
  const shader = pc.ShaderUtils.createShader(device, {
    uniqueName: "splatworks-to-screen",
    attributes: { at: pc.SEMANTIC_POSITION },
    vertexGLSL: "attribute vec2 at; void main() { gl_Position = vec4(at, 0.5, 1.0); }",
    fragmentGLSL: `uniform sampler2D blended;
      void main() { gl_FragColor = vec4(clamp(texelFetch(blended, ivec2(gl_FragCoord.xy), 0).rgb, 0.0, 1.0), 1.0); }`,
  });
  let texture = null;
  let target = null;

  function destroy() {
    target?.destroy();
    texture?.destroy();
  }

  gl.deferred = true;
  const size = app.on("prerender", () => {
    const { width, height } = gl.size;
    if (target?.width === width && target.height === height) return;
    destroy();
    texture = new pc.Texture(device, {
      name: "blended", width, height, format: pc.PIXELFORMAT_RGBA16F,
      mipmaps: false, minFilter: pc.FILTER_NEAREST, magFilter: pc.FILTER_NEAREST,
      addressU: pc.ADDRESS_CLAMP_TO_EDGE, addressV: pc.ADDRESS_CLAMP_TO_EDGE,
    });
    target = new pc.RenderTarget({ colorBuffer: texture, depth: true });
    gl.camera.camera.renderTarget = target;
  });
  const show = app.on("postrender", () => {
    if (!gl.whole) return;
    gl.fitCanvas();
    device.scope.resolve("blended").setValue(texture);
    device.setBlendState(pc.BlendState.NOBLEND);
    device.setDepthState(pc.DepthState.NODEPTH);
    device.setCullMode(pc.CULLFACE_NONE);
    pc.drawQuadWithShader(device, null, shader);
  });
  return () => {
    size.off();
    show.off();
    gl.deferred = false;
    gl.camera.camera.renderTarget = null;
    destroy();
  };
}
